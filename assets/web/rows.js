// Rows of pictures with what may be done about each: near-duplicate groups and disputes. Runs after card.js.
// value: { rows: [{ key, title, note, ids, pictures: [{ id, picture, alt, words, best }], deeds: [[name, text, isMain, done]] }],
//   empty, dataset, undo, number }. A row leaves at once and comes back when refused; with `undo` a line stays from which it can be
// taken back. Event to Python: 'done' { deed, key, chosen, ids, version, dataset, batch }; to take back, the deed is 'undo NAME'.

const rowsRoot = element.querySelector('.cu-rows');
const rowNodes = new Map();
let painted = null; // number of the answer that is shown, where it has one

// The pictures of a row, one of them to be kept: `chosen()` says which.
function picturesOf(row) {
  const strip = el('div', 'cu-row-pictures');
  const isChoice = row.pictures.length > 1;
  let at = Math.max(0, row.pictures.findIndex((one) => one.best));
  const tiles = row.pictures.map((one, index) => {
    const tile = el(isChoice ? 'button' : 'div', 'cu-tile');
    const image = el('img');
    Object.assign(image, { src: one.picture, alt: one.alt, loading: 'lazy' });
    tile.append(image, el('span', '', one.words));
    if (isChoice) {
      Object.assign(tile, { type: 'button', title: 'Keep this one' });
      tile.setAttribute('role', 'radio');
      tile.addEventListener('click', () => choose(index));
    }
    return tile;
  });
  function choose(index) {
    at = index;
    tiles.forEach((tile, place) => { tile.setAttribute('aria-checked', String(place === at)); tile.tabIndex = place === at ? 0 : -1; });
  }
  if (isChoice) {
    strip.setAttribute('role', 'radiogroup');
    strip.setAttribute('aria-label', `${row.title}: which one to keep`);
    strip.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      choose((at + step + tiles.length) % tiles.length);
      tiles[at].focus();
      event.preventDefault();
    });
    choose(at);
  }
  strip.append(...tiles);
  return { strip, chosen: () => row.pictures[at].id };
}

function rowOf(row, value) {
  const box = el('section', 'cu-row');
  box.setAttribute('aria-label', row.title);
  const head = el('div', 'cu-row-head');
  head.append(el('h4', '', row.title), el('p', '', row.note));
  const { strip, chosen } = picturesOf(row);
  const deeds = el('div', 'cu-row-deeds');
  const tell = (deed, batch) => trigger('done', { deed, key: row.key, chosen: chosen(), ids: row.ids, version: row.version ?? null,
    dataset: value.dataset ?? null, batch });
  const whole = [head, strip, deeds];
  for (const [name, text, isMain, done] of row.deeds) {
    deeds.append(button(`cu-button${isMain ? ' is-main' : ''}`, text, text, () => {
      const batch = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
      if (value.undo) settle(`${row.title} · ${done}.`, () => tell(`undo ${name}`, batch)); else box.hidden = true;
      tell(name, batch);
    }));
  }
  function settle(words, takeBack) {
    const line = el('p', 'cu-row-done', words);
    const undo = button('cu-button', 'Undo', 'Take this back', () => { restore(); takeBack(); deeds.querySelector('button').focus(); });
    box.classList.add('is-settled');
    box.replaceChildren(line, undo);
    undo.focus();
  }
  function restore() {
    box.hidden = false;
    box.classList.remove('is-settled');
    box.replaceChildren(...whole);
  }
  restore();
  return { box, restore };
}

// The last news of a handler comes again when it ends: what was settled meanwhile stays so.
function paintRows() {
  const value = props.value || { rows: [], empty: '' };
  if (value.number && value.number === painted) return;
  painted = value.number;
  rowNodes.clear();
  for (const row of value.rows) rowNodes.set(row.key, rowOf(row, value));
  rowsRoot.querySelector('.cu-rows-list').replaceChildren(...[...rowNodes.values()].map(({ box }) => box));
  rowsRoot.querySelector('.cu-empty').textContent = value.empty;
  rowsRoot.querySelector('.cu-empty').hidden = value.rows.length > 0;
}

watch('value', paintRows);
watch('refused', () => { const node = props.refused && rowNodes.get(props.refused.key); if (node) node.restore(); });
paintRows();
