// The enlarged view and the tags of the grid. Runs after curate.js in the same scope.

function openZoom(id = cards[current] && cards[current].id) {
  const card = byId.get(id);
  if (!card) return;
  const zoom = dialogs.zoom;
  zoom.dataset.imageId = id;
  zoom.querySelector('img').src = card.picture;
  zoom.querySelector('img').alt = card.alt;
  zoom.querySelector('h3').textContent = card.name;
  for (const part of ['.df-zoom-caption', '.cu-zoom-found', '.cu-history', 'dl']) zoom.querySelector(part).replaceChildren();
  paintZoomVerdict(id);
  trigger('opened', { image_id: id });
  if (!zoom.open) zoom.showModal();
}

function paintZoomVerdict(id) {
  const own = mine(byId.get(id));
  dialogs.zoom.querySelector('.cu-zoom-verdict').textContent = own.verdict
    ? `You: ${own.verdict}${own.realism ? `, realism ${own.realism}` : ''}${own.tags.length ? `, ${own.tags.join(', ')}` : ''}`
    : `No verdict of yours yet${own.realism ? `; realism ${own.realism} is stored with it` : ''}`;
}

function receiveFacts() {
  const facts = props.facts;
  const zoom = dialogs.zoom;
  if (!facts || zoom.dataset.imageId !== facts.image_id) return;
  zoom.querySelector('img').src = facts.picture;
  zoom.querySelector('.df-zoom-caption').textContent = facts.caption;
  const found = facts.attributes ? [measurementBlock(facts)] : [];
  if (facts.prediction) found.push(predictionBlock(facts.prediction, props.calibration));
  if (facts.nearest) found.push(nearestBlock(facts.nearest));
  zoom.querySelector('.cu-zoom-found').replaceChildren(...found);
  const said = facts.history.map((line) => el('li', '', line));
  zoom.querySelector('.cu-history').replaceChildren(...(said.length ? said : [el('li', '', 'None that you may see yet.')]));
  zoom.querySelector('dl').replaceChildren();
  for (const [name, value] of facts.details) zoom.querySelector('dl').append(el('dt', '', name), el('dd', '', value));
}

function openTags() {
  const ids = targets();
  if (!ids.length) return;
  const input = find('.cu-tags-input');
  input.value = (mine(byId.get(ids[0])).tags || []).join(', ');
  find('.cu-tags .cu-note').textContent = ids.length > 1 ? `Of ${ids.length} images. Separate tags by commas.` : 'Separate tags by commas.';
  find('.cu-suggestions').replaceChildren(...((props.choices || {}).tags || []).slice(0, 14).map((tag) =>
    button('cu-chip', tag, `Add ${tag}`, () => { input.value = [...tagsIn(input.value), tag].join(', '); input.focus(); })));
  dialogs.tags.showModal();
  input.focus();
}

const tagsIn = (text) => [...new Set(text.split(',').map((tag) => tag.trim()).filter(Boolean))];
