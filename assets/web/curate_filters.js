// The filters of the grid: the side column, what it says as words for the server, and the chips of what is active.
// Runs after card.js in the same scope; knows no image. `filters.words()` is what is sent and what is saved.

const DIAGNOSES = { nv: 'Nevus', bkl: 'Benign keratosis', df: 'Dermatofibroma', vasc: 'Vascular', mel: 'Melanoma',
  bcc: 'Basal cell carcinoma', akiec: 'Actinic keratosis', benign: 'Benign', malignant: 'Malignant' };
const TONES = { I: 'I', II: 'II', III: 'III', IV: 'IV', V: 'V', VI: 'VI' };
const RANGES = [
  ['Requested', [['asymmetry', 'Asymmetry', 0, 2, 0.5], ['border', 'Border', 0, 8, 1], ['num_colours', 'Colours', 1, 6, 1]]],
  ['Measured', [['measured_asymmetry', 'Asymmetry', 0, 2, 0.1], ['measured_border', 'Border', 0, 8, 0.5],
    ['measured_num_colours', 'Colours', 1, 6, 1]]],
  ['Classifier', [['malignant_probability', 'P(malignant)', 0, 1, 0.05]]],
];
const ORDERS = { newest: 'Newest', oldest: 'Oldest', 'most malignant': 'P(malignant), high first',
  'least malignant': 'P(malignant), low first', farthest: 'Farthest from the request', closest: 'Closest to the request',
  'most realistic': 'Realism, high first', 'least realistic': 'Realism, low first' };
const SELECTS = {
  verdict: ['Verdict', { '': 'All', undecided: 'To review', accept: 'Accepted', reject: 'Rejected', unsure: 'Unsure' }],
  reviewer: ['Whose verdict', { '': 'All reviewers together' }],
  reviewers_agree: ['Reviewers of one image', { '': 'Any', true: 'Agree', false: 'Disagree' }],
  agrees: ['Classifier and request', { '': 'Any', true: 'Agree', false: 'Disagree' }],
  memorised: ['Copies of training images', { '': 'Any', true: 'Flagged as copies', false: 'Checked, no copy' }],
  model: ['Model', { '': 'Any' }],
};
const FLAGS = ['agrees', 'reviewers_agree', 'memorised'];

function filterPanel(side, search, order, onChange) {
  const fields = {};
  let picked = null; // ids chosen elsewhere: on the map, in a coverage cell, or handed out by the review plan
  let pickedName = '';

  const labelled = (text, node) => { const label = el('label', 'cu-field'); label.append(el('span', '', text), node); return label; };
  const options = (node, known, value) => {
    node.replaceChildren(...Object.entries(known).map(([key, text]) => { const o = el('option', '', text); o.value = key; return o; }));
    node.value = key_in(known, value) ? value : '';
  };
  const key_in = (known, value) => Object.prototype.hasOwnProperty.call(known, value);
  const section = (title, ...nodes) => { const box = el('fieldset', 'cu-group'); box.append(el('legend', '', title), ...nodes); return box; };

  function select(name) {
    const [text, known] = SELECTS[name];
    const node = el('select');
    node.name = name;
    options(node, known, '');
    fields[name] = node;
    return labelled(text, node);
  }

  function range([name, text, low, high, step]) {
    const ends = ['from', 'to'].map((end) => {
      const node = el('input');
      Object.assign(node, { type: 'number', min: low, max: high, step, placeholder: end === 'from' ? low : high });
      node.setAttribute('aria-label', `${text} ${end}`);
      node.dataset.range = name;
      return node;
    });
    fields[name] = ends;
    const row = el('div', 'cu-range');
    row.append(el('span', '', text), ends[0], el('i', '', '–'), ends[1]);
    return row;
  }

  function checks(name, known) {
    const box = el('div', 'cu-checks');
    fields[name] = Object.entries(known).map(([value, text]) => {
      const node = el('input');
      Object.assign(node, { type: 'checkbox', value });
      const label = el('label');
      label.append(node, el('span', '', text));
      box.append(label);
      return node;
    });
    return box;
  }

  function days() {
    const row = el('div', 'cu-range cu-days');
    for (const name of ['made_from', 'made_until']) {
      const node = el('input');
      node.type = 'date';
      node.setAttribute('aria-label', name === 'made_from' ? 'Made from' : 'Made until');
      fields[name] = node;
      row.append(node);
    }
    return row;
  }

  const saved = el('select');
  saved.setAttribute('aria-label', 'Use a saved filter');
  const saveName = el('input');
  Object.assign(saveName, { type: 'text', placeholder: 'Name', maxLength: 64 });
  saveName.setAttribute('aria-label', 'Name of the filter to save');
  const save = button('cu-button', 'Save', 'Keep this filter under the name', () => {
    if (saveName.value.trim()) trigger('saved', { name: saveName.value.trim(), words: words() });
  });
  const forget = button('cu-button', 'Delete', 'Delete the chosen saved filter', () => {
    if (saved.value) trigger('unsaved', { name: saved.value });
  });
  const savedRow = el('div', 'cu-saved');
  savedRow.append(saveName, save, forget);
  side.append(
    section('Saved filters', labelled('Use', saved), savedRow),
    section('Verdict', select('verdict'), select('reviewer'), select('reviewers_agree')),
    section('Diagnosis requested', checks('diagnoses', DIAGNOSES)),
    ...RANGES.map(([title, rows]) => section(title, ...rows.map(range), ...(title === 'Classifier' ? [select('agrees')] : []))),
    section('Skin tone requested', checks('skin_tones', TONES)),
    section('Origin', select('memorised'), select('model'), labelled('Made from, until', days())),
  );
  options(order, ORDERS, 'newest');

  function words() {
    const said = {};
    for (const name of Object.keys(SELECTS)) {
      const value = fields[name].value;
      if (value !== '') said[name] = FLAGS.includes(name) ? value === 'true' : value;
    }
    for (const [, rows] of RANGES) for (const [name] of rows) {
      const ends = fields[name].map((node) => (node.value === '' ? null : Number(node.value)));
      if (ends.some((end) => end !== null)) said[name] = ends;
    }
    for (const name of ['diagnoses', 'skin_tones']) {
      const chosen = fields[name].filter((node) => node.checked).map((node) => node.value);
      if (chosen.length) said[name] = chosen;
    }
    for (const name of ['made_from', 'made_until']) if (fields[name].value) said[name] = fields[name].value;
    if (search.value.trim()) said.text = search.value.trim();
    if (order.value !== 'newest') said.order = order.value;
    if (picked) said.image_ids = picked;
    return said;
  }

  function put(said) {
    for (const name of Object.keys(SELECTS)) {
      const value = key_in(said, name) ? String(said[name]) : '';
      if (value && ![...fields[name].options].some((o) => o.value === value)) fields[name].add(new Option(value, value));
      fields[name].value = value;
    }
    for (const [, rows] of RANGES) for (const [name] of rows) {
      fields[name].forEach((node, end) => { node.value = said[name] && said[name][end] !== null ? said[name][end] : ''; });
    }
    for (const name of ['diagnoses', 'skin_tones']) for (const node of fields[name]) node.checked = (said[name] || []).includes(node.value);
    for (const name of ['made_from', 'made_until']) fields[name].value = said[name] || '';
    search.value = said.text || '';
    order.value = said.order || 'newest';
    picked = said.image_ids || null;
  }

  function change(said) {
    put(said);
    onChange();
  }

  // One chip each of what is filtered, but for some words: its text, and what takes it away.
  function chips(passed = []) {
    const said = words();
    const found = [];
    const chip = (text, without) => { if (!passed.includes(Object.keys(without)[0])) found.push([text, without]); };
    for (const [name, [text, known]] of Object.entries(SELECTS)) if (key_in(said, name)) {
      chip(`${text}: ${known[String(said[name])] || said[name]}`, { [name]: undefined });
    }
    for (const [title, rows] of RANGES) for (const [name, text, low, high] of rows) if (said[name]) {
      const [from, to] = said[name];
      chip(`${title === 'Classifier' ? '' : `${title} `}${text} ${from === null ? low : from}–${to === null ? high : to}`, { [name]: undefined });
    }
    for (const [name, known] of [['diagnoses', DIAGNOSES], ['skin_tones', TONES]]) for (const value of said[name] || []) {
      chip(name === 'skin_tones' ? `Skin ${value}` : known[value], { [name]: said[name].filter((one) => one !== value) });
    }
    if (said.made_from) chip(`From ${said.made_from}`, { made_from: undefined });
    if (said.made_until) chip(`Until ${said.made_until}`, { made_until: undefined });
    for (const word of (said.text || '').split(/\s+/).filter(Boolean)) {
      chip(`“${word}”`, { text: said.text.split(/\s+/).filter((one) => one !== word).join(' ') });
    }
    if (picked) chip(`${pickedName || 'Picked'}: ${picked.length}`, { image_ids: undefined });
    return found.map(([text, without]) => [text, () => {
      change(Object.fromEntries(Object.entries({ ...said, ...without }).filter(([, value]) => value !== undefined && value.length !== 0)));
    }]);
  }

  let typing = null;
  side.addEventListener('change', (event) => {
    if (event.target === saved) {
      const found = (props.choices.filters || []).find((one) => one.name === saved.value);
      if (!found) return;
      put(found.words);
      saveName.value = found.name;
    } else if (event.target === saveName) return;
    onChange();
  });
  search.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(onChange, 350); });
  order.addEventListener('change', onChange);

  return {
    words, put, chips,
    pick(ids, name) { picked = ids; pickedName = name; onChange(); },
    clear() { change({}); },
    // These words alone, sorted as before where that can be.
    use(said) {
      const sorted = said.verdict === 'undecided' && order.value.endsWith('realistic') ? {} : { order: order.value };
      saved.value = '';
      change({ ...said, ...sorted });
    },
    leave(said) { change(Object.fromEntries(Object.entries(words()).filter(([name]) => !key_in(said, name)))); },
    offer(choices) {
      const own = Object.fromEntries((choices.reviewers || []).map((name) => [name, name === choices.me ? `${name} (you)` : name]));
      const keep = (name, known) => options(fields[name], known, fields[name].value);
      keep('reviewer', { '': 'All reviewers together', [choices.me]: `${choices.me} (you)`, ...own });
      // Who may not see where reviewers agree has no such board either.
      fields.reviewers_agree.parentNode.hidden = !choices.boards.some((board) => key_in(board.words, 'reviewers_agree'));
      keep('model', { '': 'Any', ...Object.fromEntries((choices.models || []).map((name) => [name, name])) });
      options(saved, { '': 'Choose …', ...Object.fromEntries((choices.filters || []).map((one) => [one.name, one.name])) }, saved.value);
    },
  };
}
