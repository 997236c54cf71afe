// The virtual boards of the grid, and the chips of what is filtered. Runs after curate_filters.js in the same scope.
// A board is the words of a filter with their count. It is open as long as the filter holds its words: what is filtered
// is the only truth, so a board, a saved filter and one set by hand never contradict each other.

const BOARD_GROUPS = { verdict: 'Verdict', reviewers_agree: 'Disagreement', agrees: 'Disagreement', diagnoses: 'Diagnosis requested' };
const BOARD_NAMES = { reviewers_agree: 'Reviewers disagree', agrees: 'Classifier disagrees' };

function boardList(box, filters) {
  let boards = [];
  let chosen = '';
  const nodes = new Map(); // key of a board -> its button
  const list = el('nav', 'cu-boards-list');
  list.setAttribute('aria-label', 'Virtual boards');
  box.append(list);

  const keyOf = (board) => JSON.stringify(board.words);
  const topicOf = (board) => Object.keys(board.words)[0];
  const holds = (words, board) => Object.entries(board.words).every(([name, value]) => String(words[name]) === String(value));
  const nameOf = (board) => {
    const topic = topicOf(board);
    const [value] = [board.words[topic]].flat();
    return BOARD_NAMES[topic] || (topic === 'diagnoses' ? DIAGNOSES : SELECTS.verdict[1])[value];
  };

  // Of several whose words the filter holds, the one that was open before.
  function open() {
    const words = filters.words();
    const held = boards.filter((board) => holds(words, board));
    const found = held.find((board) => keyOf(board) === chosen) || held[0] || null;
    chosen = found ? keyOf(found) : '';
    return found;
  }

  function entry(name, title, onClick) {
    const node = button('cu-board', '', title, onClick);
    node.append(el('span', '', name), el('b', ''));
    return node;
  }

  function choose(board) {
    if (chosen === keyOf(board)) { filters.leave(board.words); return; }
    chosen = keyOf(board);
    filters.use(board.words);
  }

  const all = entry('All images', 'Leave the board and remove every filter', () => filters.clear());

  function build() {
    nodes.clear();
    list.replaceChildren(all);
    let group = '';
    for (const board of boards) {
      const next = BOARD_GROUPS[topicOf(board)];
      if (next !== group) list.append(el('h4', '', next));
      group = next;
      const node = entry(nameOf(board), `Show these images: ${nameOf(board)}. Again to leave`, () => choose(board));
      nodes.set(keyOf(board), node);
      list.append(node);
    }
  }

  function show(node, number, pressed) {
    node.lastChild.textContent = number.toLocaleString('en');
    node.classList.toggle('is-bare', number === 0);
    node.setAttribute('aria-pressed', String(pressed));
  }

  function paint() {
    const now = open();
    box.hidden = boards.length === 0;
    const judged = boards.filter((board) => topicOf(board) === 'verdict'); // every image stands on one of them
    show(all, judged.reduce((sum, board) => sum + board.number, 0), filters.chips().length === 0);
    for (const board of boards) show(nodes.get(keyOf(board)), board.number, board === now);
    return now;
  }

  return {
    paint, nameOf,
    offer(found) {
      const same = found.length === boards.length && found.every((board) => nodes.has(keyOf(board)));
      boards = found;
      if (!same) build(); // else the buttons stay, and with them the focus
    },
  };
}

// What is filtered, one chip each; the open board is one chip whatever its words.
function chipRow(box, filters, boards) {
  return () => {
    const board = boards.paint();
    const found = filters.chips(board ? Object.keys(board.words) : []);
    if (board) found.unshift([`Board: ${boards.nameOf(board)}`, () => filters.leave(board.words)]);
    box.replaceChildren(...found.map(([text, remove], place) => {
      const node = button('cu-chip', text, board && place === 0 ? 'Leave this board' : `Remove the filter ${text}`, remove);
      node.classList.toggle('is-board', Boolean(board) && place === 0);
      node.append(el('span', '', '×'));
      return node;
    }));
    if (found.length > 1) box.append(button('cu-chip is-all', 'Clear all', 'Remove every filter', () => filters.clear()));
  };
}
