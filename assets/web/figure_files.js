// The downloads of one figure, and what it is for those who do not see it. PNG is drawn by the plot itself; HTML and CSV
// are asked of Python by the event 'asked' and come back as the prop `file` {name, type, text, number}. The plot's first
// drawing becomes one picture named and described by the words above it. element, props, trigger and watch come from gr.HTML.

const say = element.querySelector('.df-files-say');
let saved = 0;

function savePng() {
  const plot = document.querySelector(`#${props.plot_id} .js-plotly-plot`);
  const button = plot && [...plot.querySelectorAll('.modebar-btn')]
    .find((candidate) => /png|image/i.test(candidate.dataset.title || ''));
  if (!button) { say.textContent = 'There is no figure yet.'; return; }
  if (plot._context) plot._context.toImageButtonOptions = { filename: props.plot_id, scale: 2 };
  button.click();
}

element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-kind]');
  if (!button) return;
  say.textContent = '';
  if (button.dataset.kind === 'png') savePng();
  else { say.textContent = 'Preparing ...'; trigger('asked', { kind: button.dataset.kind }); }
});

watch('file', () => {
  const file = props.file;
  if (!file || file.number <= saved) return;
  saved = file.number;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([file.text], { type: file.type }));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say.textContent = '';
});

// Plotly draws into several layers, each full of loose letters, and draws anew whenever it likes.
const figureBox = document.getElementById(`${props.plot_id}-box`);
let isTableOpen = null; // as it was left: a figure that is drawn anew brings a new table

function describePlot() {
  const [title, says] = ['.df-plot-title', '.df-says'].map((part) => figureBox.querySelector(`#${props.plot_id}-says ${part}`));
  const [picture, ...others] = figureBox.querySelectorAll('.js-plotly-plot .main-svg');
  const table = figureBox.querySelector('.df-numbers');
  if (table && isTableOpen !== null && table.open !== isTableOpen) table.open = isTableOpen;
  if (!picture || !title) return;
  says.id = `${props.plot_id}-description`;
  const said = { role: 'img', 'aria-label': title.textContent, 'aria-describedby': says.id };
  for (const [key, text] of Object.entries(said)) if (picture.getAttribute(key) !== text) picture.setAttribute(key, text);
  for (const other of others) if (!other.hasAttribute('aria-hidden')) other.setAttribute('aria-hidden', 'true');
}

if (figureBox) {
  figureBox.addEventListener('toggle', (event) => { if (event.target.matches('.df-numbers')) isTableOpen = event.target.open; }, true);
  new MutationObserver(describePlot).observe(figureBox, { childList: true, subtree: true, characterData: true });
  describePlot();
}
