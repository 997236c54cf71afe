// A map of points with a lasso, and a box by keyboard. Runs after card.js and map_points.js in the same scope.
// value: { points: [[x, y, kind, diagnosis, id or null], ...], says, empty, number }; says describes the map
// in words. Event to Python: 'lassoed' { ids }. Real pictures are never selected.

const mapRoot = element.querySelector('.cu-map');
const inMap = (selector) => mapRoot.querySelector(selector);
const canvas = inMap('canvas');
const pen = canvas.getContext('2d');
const hiddenKinds = new Set();
let loop = [];
let cross = null;   // where the keyboard stands, once it was used
let corner = null;  // the first corner of a box
let chosen = new Set();
let painted = null; // number of the map that is shown

const points = () => (props.value && props.value.points) || [];
const shown = () => points().filter((point) => !hiddenKinds.has(point[2]));
const size = () => [canvas.clientWidth, canvas.clientHeight];
const place = ([x, y]) => { const [w, h] = size(); return [PAD + x * (w - 2 * PAD), PAD + (1 - y) * (h - 2 * PAD)]; };
const idsInside = (around) => shown().filter((point) => point[4] && isInside(around, place(point))).map((point) => point[4]);

const imagesIn = (number) => `${number.toLocaleString('en')} ${number === 1 ? 'image' : 'images'}`;

function fitMap() {
  const scale = window.devicePixelRatio || 1;
  const [w, h] = size().map((edge) => Math.round(edge * scale));
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  drawMap();
}

function drawMap() {
  pen.clearRect(0, 0, ...size());
  const inks = Object.fromEntries(Object.entries(KINDS).map(([kind, [, name]]) => [kind, colourOf(mapRoot, name)]));
  pen.lineWidth = 1.5;
  for (const point of shown()) {
    pen.globalAlpha = chosen.size && !chosen.has(point[4]) ? 0.25 : 0.9;
    pen.fillStyle = pen.strokeStyle = inks[point[2]];
    drawMark(pen, KINDS[point[2]][2], ...place(point), 3.6);
  }
  pen.globalAlpha = 1;
  pen.strokeStyle = colourOf(mapRoot, '--df-ink');
  drawLoop(corner ? boxOf(corner, cross) : loop);
  if (cross && document.activeElement === canvas) drawMark(pen, 'cross', ...cross, 7);
}

function drawLoop(around) {
  if (around.length < 2) return;
  pen.setLineDash([5, 4]);
  pen.beginPath();
  around.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.closePath();
  pen.stroke();
  pen.setLineDash([]);
}

function paintLegend() {
  const numbers = {};
  for (const point of points()) numbers[point[2]] = (numbers[point[2]] || 0) + 1;
  inMap('.cu-map-legend').replaceChildren(...Object.entries(KINDS).filter(([kind]) => numbers[kind]).map(([kind, [text]]) => {
    const node = button('cu-chip cu-kind', `${text} ${numbers[kind].toLocaleString('en')}`, `Show or hide: ${text}`, () => {
      if (!hiddenKinds.delete(kind)) hiddenKinds.add(kind);
      node.setAttribute('aria-pressed', String(!hiddenKinds.has(kind)));
      choose([]);
    });
    node.prepend(markOf(kind, mapRoot));
    node.setAttribute('aria-pressed', String(!hiddenKinds.has(kind)));
    return node;
  }));
}

function choose(ids) {
  chosen = new Set(ids);
  loop = [];
  corner = null;
  for (const name of ['.cu-map-show', '.cu-map-clear']) inMap(name).disabled = chosen.size === 0;
  say(chosen.size ? `${imagesIn(chosen.size)} selected.` : '');
  drawMap();
}

function say(text) { inMap('.cu-map-note').textContent = text; }

const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
canvas.addEventListener('pointerdown', (event) => { corner = cross = null; loop = [at(event)]; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener('pointermove', (event) => { if (event.buttons && loop.length) { loop.push(at(event)); drawMap(); } });
canvas.addEventListener('pointerup', (event) => {
  if (!loop.length) return;
  const ids = loop.length > 2 ? idsInside(loop) : [];
  choose(event.shiftKey ? [...chosen, ...ids] : ids);
});
canvas.addEventListener('pointercancel', () => { loop = []; drawMap(); });
canvas.addEventListener('focus', drawMap);
canvas.addEventListener('blur', drawMap);

function moveCross(dx, dy) {
  const [w, h] = size();
  const [x, y] = cross || [w / 2, h / 2];
  cross = [Math.max(0, Math.min(w, x + dx)), Math.max(0, Math.min(h, y + dy))];
  if (corner) say(`${imagesIn(idsInside(boxOf(corner, cross)).length)} in the box. Space selects.`);
  drawMap();
}

function setCorner() {
  if (!cross) moveCross(0, 0);
  if (corner) { choose(idsInside(boxOf(corner, cross))); return; }
  corner = [...cross];
  say('One corner is set. Arrows open the box, Space selects what is in it.');
  drawMap();
}

canvas.addEventListener('keydown', (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (steps[event.key]) moveCross(...steps[event.key].map((step) => step * STEP_PX * (event.shiftKey ? 4 : 1)));
  else if (event.key === ' ') setCorner();
  else if (event.key === 'Escape') choose([]);
  else if ((event.ctrlKey || event.metaKey) && event.key === 'a') choose(shown().filter((point) => point[4]).map((point) => point[4]));
  else return;
  event.preventDefault();
  event.stopPropagation();
});
inMap('.cu-map-clear').addEventListener('click', () => { choose([]); canvas.focus(); });
inMap('.cu-map-show').addEventListener('click', () => trigger('lassoed', { ids: [...chosen] }));

// The last news of a handler comes again when it ends: what was selected meanwhile stays.
function paintMap() {
  const { number } = props.value || {};
  if (number && number === painted) return;
  painted = number;
  const none = points().length === 0;
  for (const selector of ['canvas', '.cu-map-how', '.cu-map-head']) inMap(selector).hidden = none;
  inMap('.cu-empty').hidden = !none;
  inMap('.cu-empty').textContent = (props.value && props.value.empty) || '';
  inMap('.cu-map-says').textContent = (props.value && props.value.says) || '';
  cross = null;
  paintLegend();
  choose([]);
}

new MutationObserver(() => { paintLegend(); drawMap(); }).observe(document.body, { attributes: true, attributeFilter: ['class'] });
new ResizeObserver(fitMap).observe(canvas);
watch('value', paintMap);
paintMap();
