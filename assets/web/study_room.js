// The reading room: one picture at a time in one fixed size, two or three answers, an honest clock.
// It is told a place and pictures, never what they are. element, props, trigger and watch come from gr.HTML.
// Event to Python: 'answered', 'left'. From Python: `session` (a turn) and `problem` (why an answer was not stored).

const SEND_TIMEOUT_MS = 8000;
const MARGIN_PX = 24;
const SOURCES = [['real', 'Real', 'R'], ['synthetic', 'Synthetic', 'S']];
const room = element.querySelector('.df-room');
const find = (name) => room.querySelector(`.df-room-${name}`);
const [picture, note, brief, problem] = ['picture', 'note', 'brief', 'problem'].map(find);
const decoded = new Map();  // place -> promise of an image that is ready to be painted
let turn = null;            // the session as last told
let phase = 'closed';       // closed, brief, loading, shown, paused, sending, unsent, done
let answer = {};            // source, confidence, lesion as chosen so far
let clock = null;           // { since, spent, pauses, zoomed }: since is null while the picture is hidden
let sent = null;            // the answer on its way
let timers = {};
let firstRatio = 1;

function option(field, value, label, key) {
  const node = document.createElement('button');
  node.type = 'button';
  node.className = 'df-room-option';
  node.dataset.value = value;
  node.append(label);
  if (key) { const cap = document.createElement('kbd'); cap.textContent = key; node.append(' ', cap); }
  node.addEventListener('click', () => choose(field, value));
  return node;
}

function layOut() {
  const [source, confidence, lesion] = room.querySelectorAll('.df-room-group');
  source.replaceChildren(...SOURCES.map(([value, label, key]) => option('source', value, label, key)));
  confidence.replaceChildren(...[1, 2, 3, 4, 5].map((n) => option('confidence', n, String(n), null)));
  confidence.prepend(Object.assign(document.createElement('span'), { textContent: 'a guess' }));
  confidence.append(Object.assign(document.createElement('span'), { textContent: 'certain' }));
  lesion.replaceChildren(...turn.lesions.map((one) => option('lesion', one.value, one.label, one.key)));
  lesion.hidden = !turn.lesions.length;
  find('lesion-brief').hidden = lesion.hidden;
  find('lesion-brief').textContent = 'Then say what you take the lesion for, as if the picture were real.';
  find('limit-brief').hidden = !turn.time_limit_s;
  find('limit-brief').textContent = `Each picture is shown for ${turn.time_limit_s} seconds; answer then from memory.`;
  find('title').textContent = turn.study;
  find('foot').textContent = turn.disclaimer;
}

function setPhase(next) {
  phase = next;
  room.dataset.phase = next;
  brief.hidden = next !== 'brief';
  picture.hidden = next !== 'shown' || Boolean(clock && clock.isOver);
  find('answers').inert = next !== 'shown' && next !== 'unsent';
  find('pause').disabled = next !== 'shown' && next !== 'paused';
  find('pause').firstChild.textContent = next === 'paused' ? 'Go on ' : 'Pause ';
  find('leave').textContent = next === 'done' ? 'Close' : 'Stop for now';
  note.textContent = {
    loading: '', sending: '', paused: 'Paused. The picture is hidden and the clock stands still.',
    shown: clock && clock.isOver ? 'The time is up. Please answer from memory.' : '',
    done: 'That was the last one. Thank you! You may now look at the results from the list.',
  }[next] || '';
  paintAnswers();
}

function paintAnswers() {
  for (const group of room.querySelectorAll('.df-room-group'))
    for (const node of group.querySelectorAll('.df-room-option'))
      node.setAttribute('aria-pressed', String(String(answer[group.dataset.field]) === node.dataset.value));
  find('next').disabled = missing() !== null;
  const shown = Math.min(turn.position + 1, turn.total);
  find('progress').textContent = phase === 'done' ? `${turn.total} of ${turn.total}` : `${shown} of ${turn.total}`;
  find('bar').firstElementChild.style.width = `${(100 * turn.position) / turn.total}%`;
}

function missing() {
  if (!answer.source) return 'Press R for real or S for synthetic first.';
  if (!answer.confidence) return 'Press 1 to 5 for how sure you are.';
  if (turn.lesions.length && !answer.lesion) return 'Say what you take the lesion for, too.';
  return null;
}

function choose(field, value) {
  if (phase !== 'shown') return;
  answer[field] = value;
  problem.textContent = '';
  paintAnswers();
}

// Told a turn: keep the pictures ready, and show the one that is due.
function receive() {
  const next = props.session;
  if (!next || !next.study || (turn && next.turn === turn.turn)) return;
  clearTimeout(timers.send);
  if (!turn || turn.study !== next.study) decoded.clear();
  const isOpening = phase === 'closed';
  turn = next;
  for (const [place, uri] of Object.entries(turn.pictures)) {
    const image = new Image();
    image.src = uri;
    decoded.set(Number(place), image.decode().then(() => uri));
  }
  for (const place of decoded.keys()) if (place < turn.position) decoded.delete(place);
  sent = null;
  problem.textContent = '';
  if (isOpening) {
    firstRatio = window.devicePixelRatio;
    layOut();
    room.showModal();
  }
  if (turn.position >= turn.total) { setPhase('done'); find('leave').focus(); return; }
  if (isOpening) { setPhase('brief'); find('begin').focus(); return; }
  show();
}

async function show() {
  answer = {};
  clock = { since: null, spent: 0, pauses: 0, zoomed: false, isOver: false };
  setPhase('loading');
  const place = turn.position;
  let uri;
  try { uri = await decoded.get(place); } catch (error) { uri = null; }
  if (!uri) { fail('The picture did not arrive. Stop for now and open the study again.'); return; }
  if (place !== turn.position || phase !== 'loading') return;
  picture.src = uri;
  picture.alt = `Picture ${place + 1} of ${turn.total}`;
  picture.style.width = picture.style.height = `${turn.size_px}px`;
  await picture.decode();
  uncover();
}

// The clock starts when the picture is on the screen: the frame after the one that paints it.
function uncover() {
  if (room.clientWidth < turn.size_px + 2 * MARGIN_PX) {
    setPhase('paused');
    note.textContent = `Make this window wider: pictures are shown ${turn.size_px} px wide, never smaller. Then go on (P).`;
    return;
  }
  setPhase('shown');
  requestAnimationFrame(() => requestAnimationFrame(() => {
    if (phase !== 'shown' || clock.since !== null) return;
    clock.since = performance.now();
    if (turn.time_limit_s && !clock.isOver)
      timers.limit = setTimeout(endTime, Math.max(0, 1000 * turn.time_limit_s - clock.spent));
  }));
}

function endTime() {
  if (phase !== 'shown') return;
  clock.isOver = true;
  setPhase('shown');
}

function stopClock() {
  clearTimeout(timers.limit);
  if (clock && clock.since !== null) { clock.spent += performance.now() - clock.since; clock.since = null; }
}

function pauseOrGoOn() {
  problem.textContent = '';
  if (phase === 'shown') { stopClock(); clock.pauses += 1; setPhase('paused'); } else if (phase === 'paused') uncover();
}

function noteZoom() {
  const scale = window.visualViewport ? window.visualViewport.scale : 1;
  if (clock && phase === 'shown' && (window.devicePixelRatio !== firstRatio || scale > 1.01)) clock.zoomed = true;
}

function next() {
  if (phase === 'unsent') { send(); return; }
  if (phase !== 'shown') return;
  const lacking = missing();
  if (lacking) { problem.textContent = lacking; return; }
  if (clock.since === null) return;  // answered before it was painted
  noteZoom();
  stopClock();
  sent = {
    study: turn.study, position: turn.position, source: answer.source, confidence: Number(answer.confidence),
    lesion: answer.lesion || null, browser_ms: Math.round(clock.spent), num_pauses: clock.pauses, zoomed: clock.zoomed,
  };
  send();
}

function send() {
  setPhase('sending');
  problem.textContent = '';
  timers.send = setTimeout(() => fail('The app does not answer. Your answer is kept: press Enter to send it again.'),
    SEND_TIMEOUT_MS);
  trigger('answered', sent);
}

function fail(text) {
  clearTimeout(timers.send);
  setPhase(sent ? 'unsent' : 'loading');
  problem.textContent = text;
}

function receiveProblem() {
  if (props.problem && props.problem.text && phase === 'sending') fail(props.problem.text);
}

function leave() {
  stopClock();
  clearTimeout(timers.send);
  phase = 'closed';
  turn = null;
  room.close();
  picture.removeAttribute('src');
  trigger('left', {});
}

function onKey(event) {
  if (!room.isConnected) { document.removeEventListener('keydown', onKey, true); return; }
  if (!room.open) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (['+', '-', '=', '0'].includes(key)) event.preventDefault();  // the magnification is fixed
    return;
  }
  if (event.altKey) return;
  const lesion = turn && turn.lesions.find((one) => one.key.toLowerCase() === key);
  const source = SOURCES.find(([, , letter]) => letter.toLowerCase() === key);
  if (key === 'enter') {
    if (document.activeElement === find('leave') || document.activeElement === find('pause')) return;
    if (phase === 'brief') show(); else if (phase === 'paused') pauseOrGoOn(); else next();
  } else if (key === 'p') pauseOrGoOn();
  else if (source) choose('source', source[0]);
  else if (/^[1-5]$/.test(key)) choose('confidence', Number(key));
  else if (lesion) choose('lesion', lesion.value);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

document.addEventListener('keydown', onKey, true);
document.addEventListener('visibilitychange', () => { if (document.hidden && phase === 'shown') pauseOrGoOn(); });
window.addEventListener('resize', noteZoom);
room.addEventListener('wheel', (event) => { if (event.ctrlKey) event.preventDefault(); }, { passive: false });
room.addEventListener('gesturestart', (event) => event.preventDefault());
room.addEventListener('cancel', (event) => { event.preventDefault(); pauseOrGoOn(); });  // Escape
find('stage').addEventListener('contextmenu', (event) => event.preventDefault());
find('begin').addEventListener('click', show);
find('next').addEventListener('click', next);
find('pause').addEventListener('click', pauseOrGoOn);
find('leave').addEventListener('click', leave);
watch('session', receive);
watch('problem', receiveProblem);
