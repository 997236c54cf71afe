// The enlarged view of one card: the picture with its saliency, the verdict, all that was found, how it was made.
// Runs after card.js in the board's scope; board.js gives it dataOf, verdictOf, decide, toggleSaliency, saliencyOf.

const zoom = root.querySelector('.df-zoom');
const zoomPicture = zoom.querySelector('.df-zoom-picture');
const zoomOverlay = zoom.querySelector('.df-zoom-overlay');
const zoomButtons = {};
for (const [verdict, text, key] of VERDICTS) {
  const node = button(`df-verdict-button is-${verdict}`, text, `${text} this image (${key})`, () => decide(zoom.dataset.key, verdict));
  node.append(el('kbd', '', key));
  zoomButtons[verdict] = node;
  zoom.querySelector('.df-zoom-verdicts').append(node);
}

function openZoom(key) {
  const data = dataOf(key);
  if (!data || !data.picture) return;
  zoom.dataset.key = key;
  zoom.dataset.imageId = data.image_id;
  zoomPicture.src = originals.get(data.image_id) || data.picture;
  if (data.is_thumbnail && !originals.has(data.image_id)) trigger('enlarged', { image_id: data.image_id });
  zoomPicture.alt = data.alt;
  zoom.querySelector('h3').textContent = data.title;
  zoom.querySelector('.df-zoom-caption').textContent = data.caption || '';
  const blocks = [];
  if (data.attributes) blocks.push(measurementBlock(data));
  if (data.prediction) blocks.push(predictionBlock(data.prediction, props.calibration, () => toggleSaliency(key)));
  if (data.nearest) blocks.push(nearestBlock(data.nearest));
  if (props.reusable) blocks.push(reuseBlock((remix) => { zoom.close(); reuse(key, remix); }));
  zoom.querySelector('.df-zoom-found').replaceChildren(...blocks);
  const facts = zoom.querySelector('dl');
  facts.replaceChildren();
  for (const [name, value] of data.details || []) facts.append(el('dt', '', name), el('dd', '', value));
  paintZoom();
  offerComparison();
  if (!zoom.open) zoom.showModal();
}

// What may change while it is open: the verdict and the saliency map.
function paintZoom() {
  const data = dataOf(zoom.dataset.key);
  if (!data || data.image_id !== zoom.dataset.imageId) return;
  const verdict = verdictOf(data);
  for (const [name, node] of Object.entries(zoomButtons)) node.setAttribute('aria-pressed', String(name === verdict));
  paintSaliency(zoomOverlay, zoom.querySelector('.df-zoom-found'), saliencyOf(data));
}

function receiveOriginals() {
  for (const [id, picture] of Object.entries(props.originals || {})) {
    originals.set(id, picture);
    if (zoom.open && zoom.dataset.imageId === id) zoomPicture.src = picture;
  }
  if (zoom.open) paintComparison();
}

zoom.querySelector('.df-zoom-close').addEventListener('click', () => zoom.close());
zoom.addEventListener('click', (event) => { if (event.target === zoom) zoom.close(); });
