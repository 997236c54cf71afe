// The list of reader studies: what a visitor may do with each. Every text goes in as textContent.
// Events to Python: 'opened', 'looked', 'exported', 'closed', 'removed', each with the study's name.

const list = element.querySelector('.df-studies');

function el(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

function button(className, text, onClick) {
  const node = el('button', `df-study-button ${className}`, text);
  node.type = 'button';
  node.addEventListener('click', onClick);
  return node;
}

function look(event, study) {
  const warning = `Looking at the results of "${study.name}" ends your own chance to read in it without bias. Look now?`;
  if (study.loses_reading && !window.confirm(warning)) return;
  trigger(event, { study: study.name, gives_up_reading: study.loses_reading });
}

function buttons(study) {
  const row = el('div', 'df-study-buttons');
  const name = { study: study.name };
  if (study.may_read) {
    row.append(button('is-main', study.num_answered ? 'Go on reading' : 'Read', () => trigger('opened', name)));
  }
  if (study.may_look) row.append(button('', 'Results', () => look('looked', study)));
  if (study.may_look && study.is_mine) row.append(button('', 'Export answers', () => look('exported', study)));
  if (study.is_mine && study.is_open) {
    row.append(button('', 'Close', () => {
      if (window.confirm(`Close "${study.name}"? It takes no more answers then.`)) trigger('closed', name);
    }));
  }
  if (study.is_mine) {
    row.append(button('is-danger', 'Remove', () => {
      const sure = `Remove "${study.name}" with all its answers and pictures? It cannot be undone. Export first.`;
      if (window.confirm(sure)) trigger('removed', name);
    }));
  }
  return row;
}

function entry(study) {
  const node = el('article', 'df-study');
  const head = el('div', 'df-study-head');
  head.append(el('h3', '', study.name), el('span', `df-study-state ${study.is_open ? 'is-open' : ''}`, study.state));
  node.append(head, el('p', 'df-study-about', study.about));
  if (study.num_answered && !study.is_finished) {
    const bar = el('span', 'df-study-bar');
    const fill = el('i');
    fill.style.width = `${(100 * study.num_answered) / study.num_shown}%`;
    bar.append(fill);
    node.append(bar);
  }
  if (study.progress) node.append(el('p', 'df-study-progress', study.progress));
  node.append(buttons(study));
  return node;
}

function paint() {
  const studies = (props.value && props.value.studies) || [];
  const nothing = el('p', 'df-studies-empty', (props.value && props.value.empty) || '');
  list.replaceChildren(...(studies.length ? studies.map(entry) : [nothing]));
}

watch('value', paint);
paint();
