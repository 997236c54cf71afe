// How the points of the map are drawn and found: a shape and a colour for each kind, and what lies inside a loop.
// Runs after card.js and before map.js in the same scope. Places are in CSS pixels; it knows no selection.

const PAD = 14;
const STEP_PX = 16;
const KINDS = {
  accept: ['Accepted', '--df-accept', 'disc'], reject: ['Rejected', '--df-reject', 'cross'],
  unsure: ['Unsure', '--df-unsure', 'triangle'], undecided: ['To review', '--df-soft', 'ring'],
  real: ['Real pictures', '--df-accent', 'square'],
};

const colourOf = (node, name) => getComputedStyle(node).getPropertyValue(name).trim();

// One mark around (x, y): filled where a verdict says keep or unsure, open where it is not judged or not ours.
function drawMark(pen, shape, x, y, r) {
  pen.beginPath();
  if (shape === 'disc' || shape === 'ring') pen.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === 'square') pen.rect(x - r, y - r, 2 * r, 2 * r);
  else if (shape === 'triangle') { pen.moveTo(x, y - r * 1.2); pen.lineTo(x + r * 1.2, y + r); pen.lineTo(x - r * 1.2, y + r); pen.closePath(); }
  else { pen.moveTo(x - r, y - r); pen.lineTo(x + r, y + r); pen.moveTo(x + r, y - r); pen.lineTo(x - r, y + r); }
  if (shape === 'disc' || shape === 'triangle') pen.fill();
  else pen.stroke();
}

// The same mark alone, for the legend.
function markOf(kind, node) {
  const [, name, shape] = KINDS[kind];
  const mark = el('canvas', 'cu-map-mark');
  const scale = window.devicePixelRatio || 1;
  mark.width = mark.height = 14 * scale;
  mark.setAttribute('aria-hidden', 'true');
  const pen = mark.getContext('2d');
  pen.scale(scale, scale);
  pen.fillStyle = pen.strokeStyle = colourOf(node, name);
  pen.lineWidth = 1.6;
  drawMark(pen, shape, 7, 7, 4);
  return mark;
}

// Even-odd rule: whether a place lies inside a closed loop of places.
function isInside(loop, [x, y]) {
  let inside = false;
  for (let i = 0, j = loop.length - 1; i < loop.length; j = i, i += 1) {
    const [xi, yi] = loop[i];
    const [xj, yj] = loop[j];
    if ((yi > y) !== (yj > y) && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

const boxOf = ([x1, y1], [x2, y2]) => [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
