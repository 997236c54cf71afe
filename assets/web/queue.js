// The queue panel: keyed rows, so that a button keeps the focus while the list is refreshed under it.
// element, props, trigger and watch come from gr.HTML. Events to Python: 'acted', 'shown', 'steered'.

const OPEN_KEY = 'dermaflux-queue-open';
const ATTACHES = new Set(['show', 'resume', 'retry']);  // these bring the job back to the board
const panel = element.querySelector('.df-queue');
const [mine, others] = panel.querySelectorAll('.df-queue-list');
const rows = new Map();  // key -> row elements

function make(tag, className) {
  const node = document.createElement(tag);
  node.className = className;
  return node;
}

function createRow() {
  const root = make('li', 'df-queue-row');
  const row = { root, title: make('span', 'df-queue-title'), standing: make('span', 'df-queue-standing'),
    bar: make('span', 'df-queue-bar'), actions: make('span', 'df-queue-actions'), buttons: new Map() };
  row.fill = row.bar.appendChild(document.createElement('i'));
  row.bar.setAttribute('aria-hidden', 'true');
  root.append(row.title, row.standing, row.bar, row.actions);
  return row;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function act(data, name) {
  trigger(ATTACHES.has(name) && data.is_mine ? 'shown' : 'acted', { job_id: data.job_id, action: name });
}

function paintActions(row, data) {
  const wanted = new Set(data.actions.map((action) => action.name));
  for (const [name, button] of row.buttons) {
    if (wanted.has(name)) continue;
    const hadFocus = document.activeElement === button;
    button.remove();
    row.buttons.delete(name);
    if (hadFocus) row.refocus = true;
  }
  data.actions.forEach((action, index) => {
    if (!row.buttons.has(action.name)) {
      const button = make('button', 'df-queue-button');
      button.type = 'button';
      button.dataset.action = action.name;
      row.buttons.set(action.name, button);
    }
    const button = row.buttons.get(action.name);
    setText(button, action.label);
    button.setAttribute('aria-label', action.hint);
    button.onclick = () => act(data, action.name);
    if (row.actions.children[index] !== button) row.actions.insertBefore(button, row.actions.children[index] || null);
  });
  if (row.refocus && row.actions.firstChild) row.actions.firstChild.focus();
  row.refocus = false;
}

function paintRow(list, data, index) {
  if (!rows.has(data.key)) rows.set(data.key, createRow());
  const row = rows.get(data.key);
  row.root.dataset.state = data.state;
  setText(row.title, data.title);
  row.title.title = data.title;
  setText(row.standing, data.standing);
  row.standing.title = data.standing;
  row.fill.style.width = `${Math.round(100 * data.fraction)}%`;
  paintActions(row, data);
  if (list.children[index] !== row.root) list.insertBefore(row.root, list.children[index] || null);
}

function paintNotes(notes) {
  const list = panel.querySelector('.df-queue-notes');
  if (list.dataset.said === notes.join('\n')) return;
  list.dataset.said = notes.join('\n');
  list.replaceChildren(...notes.map((text) => {
    const note = make('li', 'df-queue-note');
    note.textContent = text;
    return note;
  }));
}

function paint() {
  const value = props.value || {};
  const own = value.rows || [];
  const foreign = value.others || [];
  const keys = new Set([...own, ...foreign].map((data) => data.key));
  for (const [key, row] of rows) if (!keys.has(key)) { row.root.remove(); rows.delete(key); }
  own.forEach((data, index) => paintRow(mine, data, index));
  foreign.forEach((data, index) => paintRow(others, data, index));
  paintNotes(value.notes || []);
  panel.classList.toggle('has-notes', (value.notes || []).length > 0);
  setText(panel.querySelector('.df-queue-summary'), value.summary || '');
  const empty = panel.querySelector('.df-queue-empty');
  setText(empty, value.empty || '');
  empty.hidden = own.length > 0;
  panel.querySelector('.df-queue-others').hidden = foreign.length === 0;
  const shown = { clear: value.may_clear, pause_all: value.may_pause_all && !value.is_paused,
    resume_all: value.may_pause_all && value.is_paused };
  for (const button of panel.querySelectorAll('[data-steer]')) button.hidden = !shown[button.dataset.steer];
}

for (const button of panel.querySelectorAll('[data-steer]')) {
  button.addEventListener('click', () => trigger('steered', { action: button.dataset.steer }));
}
panel.open = localStorage.getItem(OPEN_KEY) === 'yes';
panel.addEventListener('toggle', () => localStorage.setItem(OPEN_KEY, panel.open ? 'yes' : 'no'));
watch('value', paint);
paint();
