// The coverage planner: a table of counts whose cells can be filled. Runs after card.js.
// value: { attribute, skin_tone, title, corner, columns: [[name, text, canFill]], rows: [{ diagnosis, text, cells: [[real, accepted, undecided, queued]] }], note }
// Event to Python: 'filled' { diagnosis, attribute, level, skin_tone, num_images }.

const coverageRoot = element.querySelector('.cu-coverage');
const fillDialog = coverageRoot.querySelector('dialog');
let wanted = null;

function cellOf(row, index, value, most) {
  const [level, text, canFill] = value.columns[index];
  const [real, accepted, undecided, queued] = row.cells[index];
  const pending = undecided + queued;
  const cell = el('td');
  const words = `${row.text}, ${text}: ${value.has_real ? `${real} real, ` : ''}${accepted} accepted, ${pending} pending (${undecided} to review, ${queued} queued)`;
  const node = canFill ? button('cu-cell', null, `${words}. Click to fill`, () => openFill(row, index, value)) : el('span', 'cu-cell is-fixed');
  node.setAttribute('aria-label', words);
  node.style.setProperty('--depth', `${Math.round(55 * Math.sqrt(accepted / most))}%`);
  if (canFill && value.has_real && real > accepted + pending) node.dataset.lacks = 'yes';
  node.append(el('b', '', String(accepted)), el('span', '', pending ? `+${pending}` : ''), el('i', '', value.has_real ? `· ${real} real` : ''));
  cell.append(node);
  return cell;
}

function paintCoverage() {
  const value = props.value;
  if (!value) return;
  const table = coverageRoot.querySelector('table');
  const most = Math.max(10, ...value.rows.flatMap((row) => row.cells.map((cell) => cell[1])));
  const head = el('tr');
  head.append(el('th', '', value.corner), ...value.columns.map(([, text]) => { const th = el('th', '', text); th.scope = 'col'; return th; }));
  const body = value.rows.map((row) => {
    const line = el('tr');
    const name = el('th', '', row.text);
    name.scope = 'row';
    line.append(name, ...row.cells.map((_, index) => cellOf(row, index, value, most)));
    return line;
  });
  table.replaceChildren(head, ...body);
  table.setAttribute('aria-label', value.title);
  table.setAttribute('aria-describedby', 'cu-coverage-note');
  coverageRoot.querySelector('.cu-map-note').textContent = value.note;
}

function openFill(row, index, value) {
  const [level, text] = value.columns[index];
  const [real, accepted, undecided, queued] = row.cells[index];
  wanted = { diagnosis: row.diagnosis, attribute: value.attribute, level, skin_tone: value.skin_tone };
  const lacking = Math.max(0, real - accepted - undecided - queued);
  fillDialog.querySelector('.cu-note').textContent = `${row.text}, ${value.corner.toLowerCase()} ${text.toLowerCase()}${value.skin_tone ? `, skin type ${value.skin_tone}` : ''}: `
    + `${accepted} accepted, ${undecided} to review, ${queued} queued${value.has_real ? `, ${real} real` : ''}. The other sliders stand in the middle.`;
  fillDialog.querySelector('.cu-number').value = Math.min(64, lacking || 8);
  fillDialog.showModal();
}

fillDialog.querySelector('form').addEventListener('submit', () => trigger('filled', { ...wanted, num_images: Number(fillDialog.querySelector('.cu-number').value) }));
fillDialog.querySelector('.cu-cancel').addEventListener('click', () => fillDialog.close());
fillDialog.addEventListener('click', (event) => { if (event.target === fillDialog) fillDialog.close(); });
watch('value', paintCoverage);
paintCoverage();
