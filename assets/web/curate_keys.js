// The keys and buttons of the grid, and what its server tells it. Runs last, after curate.js in the same scope.

function onGridKey(event) {
  if (!root.isConnected) { document.removeEventListener('keydown', onGridKey); return; }
  if (grid.offsetParent === null || dialogs.tags.open || dialogs.help.open) return;
  const target = event.target;
  if (target.closest && target.closest('input, textarea, select, [contenteditable="true"], [role="tab"]')) return;
  if (event.altKey) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === 'z') undo();
    else if (key === 'a' && cards.length && !dialogs.zoom.open) { anchor = 0; moveTo(cards.length - 1, true); } else return;
    event.preventDefault();
    return;
  }
  if (!deedOf(key, event)) return;
  event.preventDefault();
}

function deedOf(key, event) {
  const steps = { arrowright: 1, arrowleft: -1, arrowdown: columns(), arrowup: -columns() };
  if (KEYS[key]) decide(KEYS[key]);
  else if (/^[1-5]$/.test(key)) rate(Number(key));
  else if (steps[key]) { moveTo(current + steps[key], event.shiftKey); if (dialogs.zoom.open) openZoom(); }
  else if (key === 'home') moveTo(0, event.shiftKey);
  else if (key === 'end') moveTo(cards.length - 1, event.shiftKey);
  else if (key === 't') openTags();
  else if (key === 'z') { if (dialogs.zoom.open) dialogs.zoom.close(); else openZoom(); }
  else if (dialogs.zoom.open) return false;
  else if (key === 'x') { if (cards[current]) toggle(cards[current].id); }
  else if (key === 'escape' && selected.size) clearSelection();
  else if (key === 'n') page(1);
  else if (key === 'p') page(-1);
  else if (key === '/') find('.cu-search').focus();
  else if (key === '?') dialogs.help.showModal();
  else return false;
  return true;
}

// The answer about the dataset before may come last.
let offered = 0;
function offer() {
  if (!props.choices || props.choices.asked_at < offered) return;
  offered = props.choices.asked_at;
  filters.offer(props.choices);
  boards.offer(props.choices.boards);
  paintChips();
}

document.addEventListener('keydown', onGridKey);
find('.cu-later').addEventListener('click', () => page(1));
find('.cu-earlier').addEventListener('click', () => page(-1));
find('.cu-ask-help').addEventListener('click', () => dialogs.help.showModal());
find('.cu-help-close').addEventListener('click', () => dialogs.help.close());
find('.cu-next-images').addEventListener('click', () => trigger('assigned', {}));
find('.cu-side-toggle').addEventListener('click', (event) => {
  const closed = root.classList.toggle('is-wide');
  event.target.setAttribute('aria-expanded', String(!closed));
});
find('.cu-search').addEventListener('keydown', (event) => { if (event.key === 'Escape') event.target.blur(); });
dialogs.zoom.querySelector('.df-zoom-close').addEventListener('click', () => dialogs.zoom.close());
for (const [name, remix] of [['.cu-use', false], ['.cu-remix', true]]) dialogs.zoom.querySelector(name).addEventListener('click', () => {
  trigger('used', { image_id: dialogs.zoom.dataset.imageId, remix });
  dialogs.zoom.close();
});
dialogs.zoom.addEventListener('close', () => moveTo(current));
for (const dialog of Object.values(dialogs)) dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
find('.cu-tags form').addEventListener('submit', () => amend({ tags: tagsIn(find('.cu-tags-input').value) }));
find('.cu-tags-cancel').addEventListener('click', () => dialogs.tags.close());

watch('value', receive);
watch('acks', () => { if (props.acks) { take(props.acks.current || {}); outbox.answered(props.acks); } });
watch('facts', receiveFacts);
watch('choices', offer);
// Another dataset, or something may have changed elsewhere: the same question again.
watch('refresh', () => {
  const other = !props.value || props.refresh.dataset !== props.value.dataset;
  if (other) { drafts.clear(); latest.clear(); }
  ask(other ? [null] : trail, !other);
});
watch('picked', () => { if (props.picked) filters.pick(props.picked.ids, props.picked.name); });
if (window.matchMedia('(max-width: 900px)').matches) find('.cu-side-toggle').click();
offer();
receive();
ask([null]);
