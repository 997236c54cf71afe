// The list of training runs: value is {empty, chosen, runs: [{id, name, kind, state, note, warning, share}]}. A click or Enter
// on a run tells Python 'chosen' {id}. All text goes in as text. element, props, trigger and watch come from gr.HTML.

const list = element.querySelector('ul');
const none = element.querySelector('.df-runs-empty');

function row(run, chosen) {
  const item = document.createElement('li');
  const button = document.createElement('button');
  button.type = 'button';
  button.dataset.run = run.id;
  button.className = 'df-training';
  button.setAttribute('aria-pressed', String(run.id === chosen));
  const add = (className, text) => {
    const part = document.createElement('span');
    part.className = className;
    part.textContent = text;
    button.append(part);
    return part;
  };
  add('df-training-name', run.name);
  add('df-training-kind', run.kind);
  add('df-training-state', run.state).dataset.state = run.state;
  add('df-training-note', run.note);
  if (run.warning) add('df-training-warning', run.warning);
  const bar = add('df-training-bar', '');
  const fill = document.createElement('i');
  fill.style.width = `${Math.round(100 * run.share)}%`;
  bar.append(fill);
  item.append(button);
  return item;
}

function paint() {
  const value = props.value || { runs: [] };
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.run : null;
  none.textContent = value.runs.length ? '' : value.empty || '';
  list.replaceChildren(...value.runs.map((run) => row(run, value.chosen)));
  const again = focused && [...list.querySelectorAll('button')].find((button) => button.dataset.run === focused);
  if (again) again.focus();
}

element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-run]');
  if (button) trigger('chosen', { id: button.dataset.run });
});
watch('value', paint);
paint();
