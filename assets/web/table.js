// Cards as the cells of a table: headings above and at the left of them. Runs after card.js in the board's scope.

const root = element.querySelector('.df-board');
const grid = root.querySelector('.df-grid');
let headings = { seen: '', nodes: new Map() };

const tableOf = () => (props.value && props.value.table) || null;
const numColumns = () => (tableOf() ? tableOf().columns.length : 1);

function headingNode(key, className, text) {
  if (!headings.nodes.has(key)) headings.nodes.set(key, el('div', `df-heading ${className}`, text));
  return headings.nodes.get(key);
}

// What stands in the grid, in its order: the cards alone, or with the table's headings between them.
function arranged(nodes) {
  const table = tableOf();
  grid.classList.toggle('is-table', Boolean(table));
  grid.classList.toggle('has-rows', Boolean(table && table.rows));
  if (!table) return nodes;
  const facts = JSON.stringify(table);
  if (facts !== headings.seen) headings = { seen: facts, nodes: new Map() };
  grid.style.setProperty('--columns', table.columns.length);
  const all = [];
  if (table.rows) {
    const corner = headingNode('corner', 'is-corner', '');
    if (!corner.children.length) corner.append(el('span', 'is-row', `${table.row_name} ↓`), el('span', 'is-column', `${table.column_name} →`));
    all.push(corner);
  }
  const name = table.rows ? '' : `${table.column_name} `;
  table.columns.forEach((text, place) => all.push(headingNode(`c${place}`, 'is-column', `${name}${text}`)));
  nodes.forEach((node, place) => {
    if (table.rows && place % table.columns.length === 0) {
      const row = place / table.columns.length;
      all.push(headingNode(`r${row}`, 'is-row', table.rows[row]));
    }
    all.push(node);
  });
  return all;
}

// One line for a cell: the measured A, B, C and P(malignant).
function briefLine(brief) {
  const line = el('p', 'df-brief');
  for (const { letter, value, moves } of brief.measured) {
    const item = el('span', moves ? 'moves' : '', `${letter} `);
    item.append(el('b', '', value));
    line.append(item);
  }
  const share = el('span', `df-brief-share${brief.over ? ' is-over' : ''}`, `P ${brief.malignant === null ? '–' : brief.malignant.toFixed(2)}`);
  share.title = `P(malignant) ${brief.over ? 'at or over' : 'under'} the operating point`;
  line.append(share);
  return line;
}
