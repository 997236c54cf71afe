// A map of points with a lasso. Runs after card.js. value: { points: [[x, y, kind, diagnosis, id or null], ...], says }:
// says describes the map in words, for everybody.
// Event to Python: 'lassoed' { ids }. Real pictures are drawn as squares and are never selected.

const mapRoot = element.querySelector('.cu-map');
const canvas = mapRoot.querySelector('canvas');
const pen = canvas.getContext('2d');
const PAD = 14;
const KINDS = { accept: ['Accepted', '--df-accept'], reject: ['Rejected', '--df-reject'], unsure: ['Unsure', '--df-unsure'],
  undecided: ['To review', '--df-soft'], real: ['Real pictures', '--df-accent'] };
const hiddenKinds = new Set();
let loop = [];
let chosen = new Set();

const points = () => (props.value && props.value.points) || [];
const shown = () => points().filter((point) => !hiddenKinds.has(point[2]));
const place = ([x, y]) => [PAD + x * (canvas.width - 2 * PAD), PAD + (1 - y) * (canvas.height - 2 * PAD)];
const colour = (name) => getComputedStyle(mapRoot).getPropertyValue(name).trim();

function drawMap() {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const inks = Object.fromEntries(Object.entries(KINDS).map(([kind, [, name]]) => [kind, colour(name)]));
  for (const point of shown()) {
    const [x, y] = place(point);
    pen.globalAlpha = chosen.size && !chosen.has(point[4]) ? 0.25 : 0.85;
    pen.fillStyle = pen.strokeStyle = inks[point[2]];
    if (point[2] === 'real') pen.strokeRect(x - 3, y - 3, 6, 6);
    else { pen.beginPath(); pen.arc(x, y, 3.4, 0, 7); pen.fill(); }
  }
  pen.globalAlpha = 1;
  if (loop.length > 1) {
    pen.strokeStyle = colour('--df-ink');
    pen.setLineDash([5, 4]);
    pen.beginPath();
    loop.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.stroke();
    pen.setLineDash([]);
  }
}

function paintLegend() {
  const numbers = {};
  for (const point of points()) numbers[point[2]] = (numbers[point[2]] || 0) + 1;
  mapRoot.querySelector('.cu-map-legend').replaceChildren(...Object.entries(KINDS).filter(([kind]) => numbers[kind]).map(([kind, [text, name]]) => {
    const node = button('cu-chip cu-kind', `${text} ${numbers[kind].toLocaleString('en')}`, `Show or hide: ${text}`, () => {
      if (hiddenKinds.has(kind)) hiddenKinds.delete(kind); else hiddenKinds.add(kind);
      choose(new Set());
      paintLegend();
    });
    const mark = el('i', kind === 'real' ? 'is-square' : '');
    mark.style.setProperty('--ink', `var(${name})`);
    node.prepend(mark);
    node.setAttribute('aria-pressed', String(!hiddenKinds.has(kind)));
    return node;
  }));
}

function choose(ids) {
  chosen = ids;
  mapRoot.querySelector('.cu-map-show').disabled = ids.size === 0;
  mapRoot.querySelector('.cu-map-chosen').textContent = ids.size ? `${ids.size} images selected.`
    : points().length ? 'Drag around points to select them; the axes mean nothing by themselves.' : '';
  drawMap();
}

function isInside([x, y]) {
  let inside = false;
  for (let i = 0, j = loop.length - 1; i < loop.length; j = i, i += 1) {
    const [xi, yi] = loop[i];
    const [xj, yj] = loop[j];
    if ((yi > y) !== (yj > y) && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
};
canvas.addEventListener('pointerdown', (event) => { loop = [at(event)]; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener('pointermove', (event) => { if (event.buttons && loop.length) { loop.push(at(event)); drawMap(); } });
canvas.addEventListener('pointerup', () => {
  const ids = loop.length > 2 ? shown().filter((point) => point[4] && isInside(place(point))).map((point) => point[4]) : [];
  loop = [];
  choose(new Set(ids));
});
canvas.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') choose(new Set());
  else if ((event.ctrlKey || event.metaKey) && event.key === 'a') {
    choose(new Set(shown().filter((point) => point[4]).map((point) => point[4])));
    event.preventDefault();
  } else return;
  event.stopPropagation();
});
mapRoot.querySelector('.cu-map-clear').addEventListener('click', () => choose(new Set()));
mapRoot.querySelector('.cu-map-show').addEventListener('click', () => trigger('lassoed', { ids: [...chosen] }));
new MutationObserver(drawMap).observe(document.body, { attributes: true, attributeFilter: ['class'] });
function paintWords() {
  const words = mapRoot.querySelector('.cu-map-says');
  words.id = 'cu-map-says';
  words.textContent = (props.value && props.value.says) || '';
  canvas.setAttribute('aria-describedby', words.id);
}
watch('value', () => { paintLegend(); paintWords(); choose(new Set()); });
paintLegend();
paintWords();
choose(new Set());
