// One sample card: builds its elements once, then changes only what differs.
// Knows nothing of the server, of the keyboard or of other cards. Every text goes in as textContent.

const SWATCHES = {
  'white': '#f3eee8', 'red': '#b4493f', 'light brown': '#b98a5a',
  'dark brown': '#5b3a24', 'blue-grey': '#7688a0', 'black': '#1b1818',
};
const VERDICTS = [
  ['accept', 'Accept', 'A'], ['reject', 'Reject', 'R'], ['unsure', 'Unsure', 'U'],
];

function el(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

function button(className, text, title, onClick) {
  const node = el('button', className, text);
  node.type = 'button';
  node.title = title;
  node.addEventListener('click', (event) => { event.stopPropagation(); onClick(); });
  return node;
}

const percent = (value, max) => `${Math.max(0, Math.min(100, (100 * value) / max))}%`;
const signed = (value) => (value > 0 ? '+' : value < 0 ? '−' : '±') + Math.abs(value).toFixed(1);

// A bar of the measured value with a mark where the request was.
function attributeRow({ name, requested, measured, max, word }) {
  const row = el('div', 'df-attr');
  row.append(el('span', 'df-attr-name', name));
  const track = el('span', 'df-track');
  if (measured !== null) {
    const fill = el('span', 'df-fill');
    fill.style.width = percent(measured, max);
    track.append(fill);
  }
  if (requested !== null) {
    const mark = el('span', 'df-mark');
    mark.style.left = percent(requested, max);
    track.append(mark);
  }
  row.append(track);
  const shown = measured === null ? '–' : measured.toFixed(1);
  const numbers = el('span', 'df-attr-value', requested === null ? shown : `${requested.toFixed(1)} → ${shown}`);
  row.append(numbers);
  const delta = requested === null || measured === null ? null : measured - requested;
  const deltaText = el('span', 'df-delta', delta === null ? '' : signed(delta));
  if (delta !== null) deltaText.dataset.off = Math.abs(delta) > max / 4 ? 'far' : 'near';
  row.append(deltaText);
  row.title = `${name} 0 to ${max}: requested ${requested === null ? 'nothing' : requested}`
    + `${word ? ` (${word})` : ''}, measured ${shown}`;
  return row;
}

// Six columns, one a colour: the upper dot was asked for, the lower one was found.
function colourRow({ names, requested, measured }) {
  const row = el('div', 'df-attr df-attr-colours');
  row.append(el('span', 'df-attr-name', 'Colours'));
  const grid = el('span', 'df-dots');
  for (const name of names) {
    const column = el('span', 'df-dot-column');
    column.title = `${name}: ${requested && requested.includes(name) ? '' : 'not '}requested, `
      + `${measured && measured.includes(name) ? '' : 'not '}found`;
    for (const found of [requested, measured]) {
      const dot = el('span', 'df-dot');
      if (found && found.includes(name)) { dot.style.background = SWATCHES[name]; dot.classList.add('on'); }
      column.append(dot);
    }
    grid.append(column);
  }
  row.append(grid);
  const found = measured === null ? '–' : String(measured.length);
  row.append(el('span', 'df-attr-value', requested === null ? found : `${requested.length} → ${found}`));
  const delta = requested === null || measured === null ? null : measured.length - requested.length;
  const deltaText = el('span', 'df-delta', delta === null ? '' : signed(delta).replace('.0', ''));
  if (delta !== null) deltaText.dataset.off = Math.abs(delta) > 1 ? 'far' : 'near';
  row.append(deltaText);
  row.setAttribute('aria-label', `Colours requested: ${(requested || []).join(', ') || 'none stated'}; `
    + `found: ${(measured || []).join(', ') || 'none'}`);
  return row;
}

function measurementBlock(data) {
  const block = el('section', 'df-block');
  const title = el('h4', '', 'Requested → measured');
  block.append(title);
  for (const attribute of data.attributes) block.append(attributeRow(attribute));
  block.append(colourRow(data.colours));
  if (data.refused) {
    const note = el('p', 'df-refused');
    note.append(el('strong', '', 'Not measured. '), document.createTextNode(data.refused));
    block.append(note);
  }
  return block;
}

function predictionBlock(prediction, calibration, onSaliency) {
  const block = el('section', 'df-block');
  const head = el('h4', '', 'Classifier’s view, P(malignant)');
  block.append(head);
  if (prediction.refused) {
    const note = el('p', 'df-refused');
    note.append(el('strong', '', 'No prediction. '), document.createTextNode(prediction.refused));
    block.append(note);
    return block;
  }
  const row = el('div', 'df-attr');
  row.append(el('span', 'df-attr-name', 'Malignant'));
  const track = el('span', 'df-track df-track-risk');
  const fill = el('span', 'df-fill');
  fill.style.width = percent(prediction.malignant, 1);
  const mark = el('span', 'df-mark df-mark-threshold');
  mark.style.left = percent(prediction.threshold, 1);
  track.append(fill, mark);
  row.append(track, el('span', 'df-attr-value', prediction.malignant.toFixed(2)));
  row.append(el('span', 'df-delta'));
  const over = prediction.malignant >= prediction.threshold;
  row.title = `P(malignant) of the malignant classes together; operating point ${prediction.threshold.toFixed(2)}`;
  block.append(row);
  block.append(el('p', 'df-reading', `${over ? 'Above' : 'Below'} the operating point of `
    + `${prediction.threshold.toFixed(2)}; `
    + (prediction.agrees === null ? 'no diagnosis was requested.'
      : prediction.agrees ? 'agrees with the request.' : 'disagrees with the request.')));
  const list = el('ol', 'df-top');
  for (const [name, probability] of prediction.top) {
    const item = el('li');
    item.append(el('span', '', name), el('b', '', `${Math.round(100 * probability)} %`));
    list.append(item);
  }
  block.append(list);
  if (calibration) block.append(el('p', 'df-reading df-calibration', calibration));
  const foot = el('div', 'df-foot');
  if (onSaliency) foot.append(button('df-link df-saliency-toggle', 'Show saliency', 'Where the classifier looked (S)', onSaliency));
  foot.append(el('span', 'df-small', 'Not a diagnosis'));
  block.append(foot);
  const sides = el('div', 'df-saliency-sides');
  sides.hidden = true;
  sides.setAttribute('role', 'group');
  sides.setAttribute('aria-label', 'The side whose saliency is shown');
  const note = el('p', 'df-reading df-saliency-note');
  note.hidden = true;
  note.title = 'Inside the lesion: little says that the classifier looked at something else. Deletion: P of that side as the '
    + 'hottest parts are painted over, low is good. Insertion: as they come back, high is good.';
  block.append(sides, note);
  return block;
}

// The control that leaves out the image that is being drawn: after its last step there is nothing to be saved.
// Who pressed it by keyboard stays on the card.
function paintSkip(card, data, asked) {
  const on = data.state === 'sampling' && Boolean(data.skippable) && data.step < data.num_steps;
  if (!on && document.activeElement === card.skip) card.root.focus({ preventScroll: true });
  card.skip.hidden = !on;
  card.skip.textContent = asked ? 'Skipping…' : 'Skip';
  card.skip.setAttribute('aria-label', `${card.skip.textContent} ${data.title}`);
}

// The saliency of one image in a card, or in the enlarged view: the map on the picture, and in the body what is said of it
// and a button a side, where the requested and the predicted one differ. shown: { sides, place, choose }, null while off.
function paintSaliency(overlay, body, shown) {
  const map = shown && shown.sides[shown.place];
  if (map && overlay.getAttribute('src') !== map.picture) overlay.src = map.picture;
  if (map) overlay.alt = map.alt;
  overlay.hidden = !map;
  const toggle = body.querySelector('.df-saliency-toggle');
  if (!toggle) return;
  toggle.textContent = map ? 'Hide saliency' : 'Show saliency';
  const note = body.querySelector('.df-saliency-note');
  note.hidden = !map;
  note.textContent = map ? map.note : '';
  const group = body.querySelector('.df-saliency-sides');
  group.hidden = !map || shown.sides.length < 2;
  if (group.hidden) return;
  if (!group.children.length) {
    group.append(...shown.sides.map((side, place) => button('df-side-button', side.label, side.alt, () => shown.choose(place))));
  }
  [...group.children].forEach((node, place) => node.setAttribute('aria-pressed', String(place === shown.place)));
}

function nearestBlock({ text, flag }) {
  const block = el('section', 'df-block df-nearest');
  block.append(el('h4', '', 'Nearest training image'), el('p', flag ? 'df-refused' : 'df-reading', text));
  return block;
}

function reuseBlock(use) {
  const block = el('div', 'df-reuse');
  block.append(
    button('df-link', 'Use these settings', 'All settings with the seed into the panel: the same image again', () => use(false)),
    button('df-link', 'Remix', 'All settings but the seed into the panel: other images of the same request', () => use(true)),
  );
  return block;
}

function createCard(actions) {
  const root = el('article', 'df-card');
  root.tabIndex = -1;
  const figure = el('div', 'df-figure');
  const picture = el('img', 'df-picture');
  picture.hidden = true;
  picture.decoding = 'async';
  const overlay = el('img', 'df-overlay');
  overlay.alt = 'Saliency map of the classifier over the synthetic lesion';
  overlay.hidden = true;
  const badge = el('span', 'df-badge');
  const verdictBadge = el('span', 'df-verdict');
  const skip = button('df-skip', 'Skip', 'Leave this image out and go on with the next', () => actions.skip());
  const progress = el('div', 'df-progress');
  const progressText = el('span', 'df-progress-text');
  const progressBar = el('span', 'df-progress-bar');
  progress.append(progressText, progressBar);
  figure.append(picture, overlay, badge, verdictBadge, progress, skip);
  const body = el('div', 'df-body');
  const verdicts = el('div', 'df-verdicts');
  verdicts.setAttribute('role', 'group');
  verdicts.setAttribute('aria-label', 'Verdict');
  const buttons = {};
  for (const [verdict, text, key] of VERDICTS) {
    const node = button(`df-verdict-button is-${verdict}`, text, `${text} this image (${key})`,
      () => actions.decide(verdict));
    node.append(el('kbd', '', key));
    buttons[verdict] = node;
    verdicts.append(node);
  }
  root.append(figure, verdicts, body); // the verdict on the picture comes before what others say of it
  figure.addEventListener('click', () => actions.zoom());
  root.addEventListener('focus', () => actions.focus());
  root.addEventListener('click', () => actions.focus());
  return { root, figure, picture, overlay, badge, verdictBadge, skip, progress, progressText, progressBar, body, verdicts,
    buttons, actions, seen: '' };
}

function updateCard(card, data, verdict, saving) {
  const source = data.picture || data.preview || '';
  if (source && card.picture.getAttribute('src') !== source) card.picture.src = source;
  card.picture.hidden = !source;
  card.picture.alt = data.alt;
  card.root.dataset.state = data.state;
  card.root.dataset.imageId = data.image_id || '';
  card.root.setAttribute('aria-label', `${data.title}. ${data.state}${verdict ? `, ${verdict}` : ''}`);
  card.badge.textContent = data.title;
  const done = data.state === 'done' || data.state === 'failed';
  card.figure.title = data.brief ? data.title : '';
  card.progress.hidden = done;
  card.progressText.textContent = data.status;
  card.progressBar.style.width = data.num_steps ? percent(data.step, data.num_steps) : '0';
  const facts = JSON.stringify([data.attributes, data.colours, data.refused, data.prediction, data.note, data.brief, data.nearest]);
  if (facts !== card.seen) {
    card.seen = facts;
    const blocks = [];
    if (data.note) blocks.push(el('p', 'df-refused', data.note));
    if (data.attributes) blocks.push(measurementBlock(data));
    if (data.prediction) blocks.push(predictionBlock(data.prediction, card.actions.calibration, card.actions.saliency));
    if (data.nearest) blocks.push(nearestBlock(data.nearest));
    if (data.image_id && card.actions.reuse) blocks.push(reuseBlock(card.actions.reuse));
    card.body.replaceChildren(...blocks);
    const brief = card.root.querySelector('.df-brief');
    if (brief) brief.remove();
    if (data.brief) card.figure.after(briefLine(data.brief));
  }
  card.verdicts.hidden = !data.image_id;
  card.root.dataset.verdict = verdict || '';
  card.root.dataset.saving = saving ? 'yes' : '';
  card.verdictBadge.textContent = verdict ? { accept: '✓ accepted', reject: '✕ rejected', unsure: '? unsure' }[verdict] : '';
  card.verdictBadge.hidden = !verdict;
  for (const [name, node] of Object.entries(card.buttons)) node.setAttribute('aria-pressed', String(name === verdict));
}
