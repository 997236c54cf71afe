// The grid of curation: cards, focus, selection, verdicts. Runs after card.js, curate_filters.js, curate_boards.js
// and curate_outbox.js in the same scope; element, props, trigger and watch come from gr.HTML.
// Events to Python: 'asked', 'sent', 'opened', 'saved', 'unsaved', 'assigned', 'settled'.

const root = element.querySelector('.cu');
const find = (selector) => root.querySelector(selector);
const grid = find('.cu-grid');
const dialogs = { zoom: find('.cu-zoom'), tags: find('.cu-tags'), help: find('.cu-help') };
const SIGNS = { accept: '✓', reject: '✕', unsure: '?' };
const KEYS = { a: 'accept', r: 'reject', u: 'unsure' };
const SETTLE_MS = 900;

let cards = [];               // what the server sent, in order; changed in place as verdicts are acknowledged
let byId = new Map();
let nodes = new Map();        // image id -> element
let current = 0;
let anchor = 0;               // where a range of selected cards begins
const selected = new Set();
const drafts = new Map();     // image id -> { realism, tags } given before a verdict
let trail = [null];           // cursors of the pages up to the shown one
let asked = 0;                // number of the latest question for a page
let staying = false;
let settling = null;
const latest = new Map();     // image id -> what the server last acknowledged in this dataset

const filters = filterPanel(find('.cu-side'), find('.cu-search'), find('.cu-order'), () => ask([null]));
const boards = boardList(find('.cu-virtual'), filters);
const paintChips = chipRow(find('.cu-chips'), filters, boards);
const outbox = newOutbox({
  versionOf: (id) => (byId.has(id) ? byId.get(id).version : null),
  onStored(states, undone) {
    take(states);
    if (undone.length) say(undone.length === 1 ? 'The last verdict was taken back.' : `${undone.length} verdicts were taken back.`);
    settle();
  },
  onRefused: conflict,
  onGivenUp(entries, problem) {
    for (const entry of entries) paint(entry.image_id);
    say(`${entries.length} not saved. ${problem || 'The app does not answer. Reload the page to see what is stored.'}`);
  },
});

// What a card shows of the reviewer's own judgement: pending before stored, drafts where there is none.
function mine(card) {
  const pending = outbox.pendingOf(card.id);
  const draft = drafts.get(card.id) || {};
  if (pending) return { verdict: pending.verdict, realism: pending.realism, tags: pending.tags, saving: true };
  return { verdict: card.mine, realism: draft.realism ?? card.realism, tags: draft.tags ?? card.tags ?? [],
    saving: false, held: !card.mine && drafts.has(card.id) };
}

function makeNode(card) {
  const node = el('article', 'cu-card');
  node.setAttribute('role', 'option');
  node.dataset.imageId = card.id;
  const picture = el('img');
  Object.assign(picture, { src: card.picture, alt: card.alt, loading: 'lazy', decoding: 'async', draggable: false });
  const foot = el('div', 'cu-foot');
  foot.append(el('b', '', card.title), el('span', 'cu-p', card.malignant === null ? '' : card.malignant.toFixed(2)));
  foot.lastChild.title = `P(malignant)${card.agrees === false ? '; the classifier disagrees with the request' : ''}`;
  foot.lastChild.classList.toggle('is-off', card.agrees === false);
  if (card.flag) node.append(el('span', 'cu-flag', card.flag));
  node.append(picture, el('span', 'cu-check'), el('span', 'cu-verdict'), el('span', 'cu-rating'), foot);
  node.addEventListener('click', (event) => clicked(card.id, event));
  node.addEventListener('dblclick', () => openZoom(card.id));
  return node;
}

function paint(id) {
  const card = byId.get(id);
  const node = nodes.get(id);
  if (!card || !node) return;
  const own = mine(card);
  const shown = own.verdict || card.verdict;
  node.dataset.verdict = shown || '';
  node.dataset.whose = own.verdict ? 'mine' : shown ? 'others' : '';
  node.dataset.saving = own.saving ? 'yes' : '';
  node.querySelector('.cu-verdict').textContent = shown ? SIGNS[shown] : '';
  const stars = own.realism ? `${own.realism}/5` : '';
  node.querySelector('.cu-rating').textContent = [stars, own.tags && own.tags.length ? `#${own.tags.length}` : ''].filter(Boolean).join(' ');
  node.querySelector('.cu-rating').classList.toggle('is-held', Boolean(own.held));
  const isCurrent = cards[current] === card;
  node.tabIndex = isCurrent ? 0 : -1;
  node.classList.toggle('is-current', isCurrent);
  node.setAttribute('aria-selected', String(selected.has(id)));
  const words = [card.alt, shown ? `${own.verdict ? 'you' : 'together'}: ${shown}` : 'no verdict', stars && `realism ${stars}`,
    own.tags && own.tags.length ? `tags ${own.tags.join(', ')}` : ''].filter(Boolean).join('; ');
  node.setAttribute('aria-label', words);
  node.title = own.verdict && card.verdict && card.verdict !== own.verdict && !own.saving
    ? `You: ${own.verdict}. All reviewers together: ${card.verdict}.` : words;
  if (dialogs.zoom.open && dialogs.zoom.dataset.imageId === id) paintZoomVerdict(id);
}

function paintDeeds() {
  const number = selected.size;
  const box = find('.cu-deeds');
  const parts = [el('span', 'cu-target', number ? `${number} selected` : 'Current image')];
  for (const [verdict, text, key] of VERDICTS) {
    const node = button(`df-verdict-button is-${verdict}`, text, `${text} (${key})`, () => decide(verdict));
    node.append(el('kbd', '', key));
    parts.push(node);
  }
  const stars = el('span', 'cu-stars');
  stars.append(el('span', '', 'Realism'));
  for (let n = 1; n <= 5; n += 1) stars.append(button('cu-button', String(n), `Realism ${n} of 5 (${n})`, () => rate(n)));
  parts.push(stars, button('cu-button', 'Tags', 'Tags (T)', openTags), button('cu-button', 'Enlarge', 'Enlarge (Z)', () => openZoom()),
    button('cu-button', 'Undo', 'Take back your last verdict (Ctrl+Z)', undo));
  if (number) parts.push(button('cu-button', 'Clear', 'Select none (Esc)', clearSelection));
  box.replaceChildren(...parts);
  for (const node of box.querySelectorAll('button')) node.disabled = cards.length === 0 && node.textContent !== 'Undo';
}

function receive() {
  const value = props.value || {};
  if (value.seq !== undefined && value.seq !== asked) return; // an earlier question was answered late
  const here = staying && cards[current] ? cards[current].id : null;
  cards = (value.cards || []).map(newest);
  byId = new Map(cards.map((card) => [card.id, card]));
  nodes = new Map(cards.map((card) => [card.id, makeNode(card)]));
  for (const id of [...selected]) if (!staying || !byId.has(id)) selected.delete(id);
  current = anchor = Math.max(0, cards.findIndex((card) => card.id === here));
  const held = staying && grid.contains(document.activeElement);
  grid.replaceChildren(...nodes.values());
  for (const card of cards) paint(card.id);
  find('.cu-empty').hidden = cards.length > 0;
  find('.cu-empty').textContent = value.empty || '';
  const before = 120 * (trail.length - 1);
  find('.cu-hits').textContent = cards.length
    ? `${(before + 1).toLocaleString('en')}–${(before + cards.length).toLocaleString('en')} of ${value.total.toLocaleString('en')}` : `${value.total || 0} found`;
  find('.cu-earlier').disabled = trail.length < 2;
  find('.cu-later').disabled = !value.next;
  root.dataset.busy = '';
  root.dataset.dataset = value.dataset || '';
  paintDeeds();
  if (held && cards.length) nodes.get(cards[current].id).focus({ preventScroll: true });
}

// A page may have been read before a verdict that was acknowledged before it came.
function newest(card) {
  const known = latest.get(card.id);
  return known && known.version > card.version ? { ...card, ...known } : card;
}

// Drafts stay: a rating that was not stored yet is kept for when its image is shown again.
// Staying: the same page again, under the reviewer's hands; the current card and the selection are kept.
function ask(to, stays = false) {
  trail = to;
  asked += 1;
  staying = stays;
  root.dataset.busy = 'yes';
  paintChips();
  trigger('asked', { seq: asked, words: filters.words(), after: trail[trail.length - 1] });
}

function page(step) {
  if (step > 0 && props.value && props.value.next && !find('.cu-later').disabled) ask([...trail, props.value.next]);
  if (step < 0 && trail.length > 1) ask(trail.slice(0, -1));
}

function take(states) {
  for (const [id, state] of Object.entries(states)) {
    latest.set(id, state);
    if (byId.has(id)) Object.assign(byId.get(id), state);
    if (state.mine) drafts.delete(id);
    paint(id);
  }
}

// Counts are asked for when the reviewer pauses, not after every key.
function settle() {
  clearTimeout(settling);
  settling = setTimeout(() => { if (outbox.isEmpty) trigger('settled', {}); }, SETTLE_MS);
}

function targets() {
  if (dialogs.zoom.open) return [dialogs.zoom.dataset.imageId];
  return selected.size ? cards.filter((card) => selected.has(card.id)).map((card) => card.id) : cards[current] ? [cards[current].id] : [];
}

function postAll(ids, verdictOf, changes) {
  const batch = ids.length > 1 ? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}` : null;
  outbox.post(...ids.map((id) => {
    const own = mine(byId.get(id));
    return { kind: 'verdict', dataset: dataset(), image_id: id, verdict: verdictOf(own), realism: own.realism || null,
      tags: own.tags || [], batch_id: batch, ...changes };
  }));
  for (const id of ids) paint(id);
}

function decide(verdict) {
  const ids = targets().filter((id) => byId.has(id));
  if (!ids.length) return;
  postAll(ids, () => verdict, {});
  if (selected.size) { clearSelection(); return; }
  advance(ids[0]);
}

// A rating or tags change a verdict that is there; without one they are kept and stored with it.
function amend(changes) {
  const ids = targets().filter((id) => byId.has(id));
  const judged = ids.filter((id) => mine(byId.get(id)).verdict);
  for (const id of ids) if (!judged.includes(id)) { drafts.set(id, { ...drafts.get(id), ...changes }); paint(id); }
  if (judged.length) postAll(judged, (own) => own.verdict, changes);
}

const rate = (realism) => amend({ realism });

function advance(id) {
  const start = cards.findIndex((card) => card.id === id);
  const next = [...cards.slice(start + 1), ...cards.slice(0, start)].find((card) => !mine(card).verdict);
  if (!next) { say('Every image of this page has your verdict. N: next page.'); return; }
  moveTo(cards.indexOf(next));
  if (dialogs.zoom.open) openZoom(next.id);
}

const dataset = () => (props.value || {}).dataset;

function undo() { outbox.post({ kind: 'undo', dataset: dataset() }); }

function moveTo(index, extend = false) {
  if (!cards.length) return;
  const before = cards[current];
  current = Math.max(0, Math.min(cards.length - 1, index));
  if (!extend) anchor = current;
  else selectRange();
  if (before) paint(before.id);
  const card = cards[current];
  paint(card.id);
  const node = nodes.get(card.id);
  if (!dialogs.zoom.open) { node.focus({ preventScroll: true }); node.scrollIntoView({ block: 'nearest' }); }
}

function selectRange() {
  const [from, to] = [Math.min(anchor, current), Math.max(anchor, current)];
  selected.clear();
  for (const card of cards.slice(from, to + 1)) selected.add(card.id);
  for (const card of cards) paint(card.id);
  paintDeeds();
}

function toggle(id) {
  if (selected.has(id)) selected.delete(id); else selected.add(id);
  paint(id);
  paintDeeds();
}

function clearSelection() {
  const before = [...selected];
  selected.clear();
  for (const id of before) paint(id);
  paintDeeds();
}

function clicked(id, event) {
  const index = cards.findIndex((card) => card.id === id);
  if (event.shiftKey) { moveTo(index, true); return; }
  moveTo(index);
  if (event.ctrlKey || event.metaKey || event.target.classList.contains('cu-check')) toggle(id);
}

function columns() {
  if (cards.length < 2) return 1;
  const top = nodes.get(cards[0].id).offsetTop;
  const next = cards.findIndex((card) => nodes.get(card.id).offsetTop > top);
  return next < 0 ? cards.length : next;
}

// Somebody decided since the image was shown: their word stands, and the reviewer may still have theirs stored.
function conflict(entry, reason) {
  paint(entry.image_id);
  const card = byId.get(entry.image_id);
  const row = el('div', 'cu-conflict');
  if (card) { const small = el('img'); Object.assign(small, { src: card.picture, alt: '' }); row.append(small); }
  row.append(el('p', '', `“${entry.verdict}” was not stored. ${reason}`));
  if (card) row.append(button('cu-button', `Store my ${entry.verdict}`, 'Store it now that you know', () => {
    row.remove();
    outbox.post(entry);
    paint(entry.image_id);
  }));
  row.append(button('cu-button', 'Leave it', 'Keep what is stored', () => row.remove()));
  find('.cu-conflicts').append(row);
}

function say(text) {
  const note = find('.cu-say');
  note.textContent = text;
  clearTimeout(note.timer);
  note.timer = setTimeout(() => { note.textContent = ''; }, 7000);
}
