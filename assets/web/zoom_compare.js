// Two pictures of a board under one slider: the enlarged one at the left of the line, another at its right.
// Runs after zoom.js in the board's scope; zoom.js says when the enlarged one is another.

const compare = zoom.querySelector('.df-compare');
const compareWith = compare.querySelector('select');
const compareAt = compare.querySelector('input');
const beside = zoom.querySelector('.df-zoom-beside');

// The choice is kept from picture to picture, so that all can be held against one.
function offerComparison() {
  const others = datas.filter((data) => data.picture && data.image_id && data.key !== zoom.dataset.key);
  const before = compareWith.value;
  compareWith.replaceChildren(new Option('nothing', ''), ...others.map((data) => new Option(data.title, data.key)));
  compareWith.value = others.some((data) => data.key === before) ? before : '';
  compare.hidden = !others.length;
  beginComparison();
}

function beginComparison() {
  const other = compareWith.value ? dataOf(compareWith.value) : null;
  if (other && other.is_thumbnail && !originals.has(other.image_id)) trigger('enlarged', { image_id: other.image_id });
  paintComparison();
}

function paintComparison() {
  const other = compareWith.value ? dataOf(compareWith.value) : null;
  const none = !other;
  beside.hidden = none;
  compareAt.hidden = none;
  zoom.classList.toggle('is-comparing', !none);
  if (none) return;
  beside.src = originals.get(other.image_id) || other.picture;
  beside.alt = other.alt;
  zoom.style.setProperty('--df-split', `${compareAt.value}%`);
}

compareWith.addEventListener('change', beginComparison);
compareAt.addEventListener('input', paintComparison);
