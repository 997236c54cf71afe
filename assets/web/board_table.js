// The table of datasets: a click on a name opens it. Event to Python: 'chosen' (name).

element.addEventListener('click', (event) => {
  const node = event.target.closest('.cu-open');
  if (node) trigger('chosen', { name: node.dataset.name });
});
