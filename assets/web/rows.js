// Rows of pictures with what may be done about each: near-duplicate groups and disputes. Runs after card.js.
// value: { rows: [{ key, title, note, ids, pictures: [{ id, picture, alt, words, best }], deeds: [[name, text, isMain]] }], empty }
// Event to Python: 'done' { deed, key, chosen, ids, version }. A row leaves at once and comes back when refused.

const rowsRoot = element.querySelector('.cu-rows');
const rowNodes = new Map();

function rowOf(row) {
  const box = el('section', 'cu-row');
  const head = el('div', 'cu-row-head');
  head.append(el('h4', '', row.title), el('p', '', row.note));
  let chosen = (row.pictures.find((one) => one.best) || row.pictures[0]).id;
  const strip = el('div', 'cu-row-pictures');
  strip.setAttribute('role', 'radiogroup');
  strip.setAttribute('aria-label', row.title);
  const tiles = row.pictures.map((one) => {
    const tile = el('button', 'cu-tile');
    tile.type = 'button';
    const image = el('img');
    Object.assign(image, { src: one.picture, alt: one.alt, loading: 'lazy' });
    tile.append(image, el('span', '', one.words));
    if (row.pictures.length > 1) {
      tile.setAttribute('role', 'radio');
      tile.setAttribute('aria-checked', String(one.id === chosen));
      tile.title = 'Keep this one';
      tile.addEventListener('click', () => {
        chosen = one.id;
        tiles.forEach((other, index) => other.setAttribute('aria-checked', String(row.pictures[index].id === chosen)));
      });
    }
    return tile;
  });
  strip.append(...tiles);
  const deeds = el('div', 'cu-row-deeds');
  for (const [name, text, isMain] of row.deeds) {
    deeds.append(button(`cu-button${isMain ? ' is-main' : ''}`, text, text, () => {
      box.hidden = true;
      trigger('done', { deed: name, key: row.key, chosen, ids: row.ids, version: row.version ?? null });
    }));
  }
  box.append(head, strip, deeds);
  return box;
}

function paintRows() {
  const value = props.value || { rows: [], empty: '' };
  rowNodes.clear();
  for (const row of value.rows) rowNodes.set(row.key, rowOf(row));
  rowsRoot.querySelector('.cu-rows-list').replaceChildren(...rowNodes.values());
  rowsRoot.querySelector('.cu-empty').textContent = value.empty;
  rowsRoot.querySelector('.cu-empty').hidden = value.rows.length > 0;
}

watch('value', paintRows);
watch('refused', () => { const node = props.refused && rowNodes.get(props.refused.key); if (node) node.hidden = false; });
paintRows();
