// The board of sample cards: keyed updates, focus, keyboard, zoom. Runs after card.js in the same scope;
// element, props, trigger and watch come from gr.HTML. Events to Python: 'decided', 'undone', 'saliency', 'enlarged',
// 'used', 'skipped'.

const SAVE_TIMEOUT_MS = 8000;
const strip = root.querySelector('.df-strip');
const empty = root.querySelector('.df-empty');
const cards = new Map();      // key -> card elements
const saved = new Map();      // image id -> verdict the server acknowledged since the page was loaded
const waiting = new Map();    // image id -> { verdict, timer } painted, not yet acknowledged
const maps = new Map();       // image id -> saliency, a list of { picture, label, alt, note }: the requested side first
const originals = new Map();  // image id -> the stored picture itself
const skipping = new Set();   // job id and key of images that the server was asked to skip
const shownMaps = new Set();  // image ids whose saliency map is on
const sidesShown = new Map(); // image id -> the place in that list of the side that is looked at
let current = null;           // key of the focused card

let texts = [];               // the cards as they came, JSON text each
let datas = [];               // and as they were read; of a text that comes again, the same object again
const painted = new Map();    // key -> the data that its card shows

const dataOf = (key) => datas.find((data) => data.key === key);

function receive() {
  const came = [...((props.value && props.value.cards) || [])];
  datas = came.map((text, place) => (text === texts[place] ? datas[place] : JSON.parse(text)));
  texts = came;
}

function verdictOf(data) {
  if (!data.image_id) return null;
  if (waiting.has(data.image_id)) return waiting.get(data.image_id).verdict;
  return saved.has(data.image_id) ? saved.get(data.image_id) : data.verdict;
}

function paintCard(data) {
  const card = cards.get(data.key);
  painted.set(data.key, data);
  updateCard(card, data, verdictOf(data), waiting.has(data.image_id));
  paintSaliency(card.overlay, card.body, saliencyOf(data));
  paintSkip(card, data, skipping.has(`${data.skippable} ${data.key}`));
  if (zoom.open && zoom.dataset.key === data.key) paintZoom();
  card.root.tabIndex = data.key === current ? 0 : -1;
  card.root.classList.toggle('is-current', data.key === current);
}

function saliencyOf(data) {
  const sides = maps.get(data.image_id);
  if (!sides || !shownMaps.has(data.image_id)) return null;
  const choose = (place) => { sidesShown.set(data.image_id, place); paintCard(dataOf(data.key)); };
  return { sides, place: sidesShown.get(data.image_id) || 0, choose };
}

function paintStrip() {
  const job = props.value && props.value.job;
  strip.hidden = !job;
  if (!job) return;
  strip.dataset.state = job.state;
  strip.querySelector('.df-strip-title').textContent = job.title;
  strip.querySelector('.df-strip-note').textContent = job.note || '';
  strip.querySelector('.df-strip-bar i').style.width = percent(job.fraction || 0, 1);
}

// The value came: what it leaves as it was is not painted again.
function paintNews() {
  const before = current;
  receive();
  placeCards();
  for (const data of datas) if (before !== current || painted.get(data.key) !== data) paintCard(data);
  paintStrip();
}

function paint() {
  placeCards();
  for (const data of datas) paintCard(data);
  paintStrip();
}

// The cards that there are, in their order; a new one is painted by the caller.
function placeCards() {
  empty.hidden = datas.length > 0;
  if (props.value && props.value.empty) empty.querySelector('p').textContent = props.value.empty;
  const keys = new Set(datas.map((data) => data.key));
  for (const [key, card] of cards) if (!keys.has(key)) { card.root.remove(); cards.delete(key); painted.delete(key); }
  if (!keys.has(current)) current = datas.length ? datas[0].key : null;
  for (const data of datas) if (!cards.has(data.key)) cards.set(data.key, createCard(actionsOf(data.key)));
  const nodes = arranged(datas.map((data) => cards.get(data.key).root));
  nodes.forEach((node, index) => {
    if (grid.children[index] !== node) grid.insertBefore(node, grid.children[index] || null);
  });
  while (grid.children.length > nodes.length) grid.lastElementChild.remove();
}

function actionsOf(key) {
  return {
    decide: (verdict) => decide(key, verdict),
    saliency: () => toggleSaliency(key),
    zoom: () => openZoom(key),
    calibration: props.calibration,
    reuse: props.reusable ? (remix) => reuse(key, remix) : null,
    skip: () => skip(key),
    focus: () => setCurrent(key, false),
  };
}

function setCurrent(key, moveFocus) {
  current = key;
  for (const data of datas) paintCard(data);
  if (moveFocus && cards.has(key)) {
    cards.get(key).root.focus({ preventScroll: true });
    cards.get(key).root.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  }
}

// Paint first, then tell the server; a verdict that is not acknowledged is taken back and said so.
function decide(key, verdict) {
  const data = dataOf(key);
  if (!data || !data.image_id) return;
  const previous = waiting.get(data.image_id);
  if (previous) clearTimeout(previous.timer);
  const timer = setTimeout(() => takeBack(data.image_id, 'The app does not answer. Is it still running?'),
    SAVE_TIMEOUT_MS);
  waiting.set(data.image_id, { verdict, timer });
  trigger('decided', { image_id: data.image_id, verdict });
  paintCard(data);
  advance(key);
}

function takeBack(id, reason) {
  if (!waiting.has(id)) return;
  clearTimeout(waiting.get(id).timer);
  waiting.delete(id);
  paint();
  say(`The verdict was not saved. ${reason}`);
}

function receiveRefusals() {
  for (const [id, reason] of Object.entries(props.refusals || {})) takeBack(id, reason);
}

function advance(key) {
  if (zoom.open) return; // whoever judges the enlarged picture goes on looking at it
  const start = datas.findIndex((data) => data.key === key);
  const order = [...datas.slice(start + 1), ...datas.slice(0, start)];
  const next = order.find((data) => data.image_id && !verdictOf(data));
  if (next && document.activeElement && root.contains(document.activeElement)) setCurrent(next.key, true);
}

function acknowledge() {
  for (const [id, verdict] of Object.entries(props.verdicts || {})) {
    if (waiting.has(id)) { clearTimeout(waiting.get(id).timer); waiting.delete(id); }
    saved.set(id, verdict);
  }
  paint();
}

function receiveMaps() {
  for (const [id, sides] of Object.entries(props.saliency || {})) maps.set(id, sides);
  paint();
}

function toggleSaliency(key) {
  const data = dataOf(key);
  if (!data || !data.image_id) return;
  if (shownMaps.has(data.image_id)) shownMaps.delete(data.image_id);
  else {
    shownMaps.add(data.image_id);
    if (!maps.has(data.image_id)) trigger('saliency', { image_id: data.image_id });
  }
  paintCard(data);
}

function reuse(key, remix) {
  const data = dataOf(key);
  if (data && data.image_id) window.dfSettling.done().then(() => trigger('used', { image_id: data.image_id, remix }));
}

function skip(key) {
  const data = dataOf(key);
  if (!data || !data.skippable) return;
  skipping.add(`${data.skippable} ${key}`);
  trigger('skipped', { job_id: data.skippable, image_index: Number(key) });
  paintCard(data);
}

function say(text) {
  const note = root.querySelector('.df-say');
  note.textContent = text;
  setTimeout(() => { note.textContent = ''; }, 6000);
}

const KEYS = { a: 'accept', r: 'reject', u: 'unsure' };

function onKey(event) {
  if (!root.isConnected) { document.removeEventListener('keydown', onKey); return; }
  if (root.offsetParent === null || event.altKey) return;
  const target = event.target;
  if (target.closest && target.closest('input, textarea, select, [contenteditable="true"], [role="tab"]')) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === 'z' && !zoom.open) { event.preventDefault(); trigger('undone', {}); }
    return;
  }
  if (current === null) return;
  const index = datas.findIndex((data) => data.key === current);
  const down = tableOf() && numColumns();
  const move = { arrowright: 1, arrowleft: -1, arrowdown: down, arrowup: down && -down }[key];
  if (KEYS[key]) decide(current, KEYS[key]);
  else if (key === 's') toggleSaliency(current);
  else if (key === 'z') { if (zoom.open) zoom.close(); else openZoom(current); }
  else if (move) {
    setCurrent(datas[Math.max(0, Math.min(datas.length - 1, index + move))].key, !zoom.open);
    if (zoom.open) openZoom(current);
  } else return;
  event.preventDefault();
}

document.addEventListener('keydown', onKey);
watch('value', paintNews);
watch('saliency', receiveMaps);
watch('originals', receiveOriginals);
watch('verdicts', acknowledge);
watch('refusals', receiveRefusals);
paintNews();
