// Verdicts on their way: sent in the order they were given, a batch at a time, never two batches at once.
// What is not acknowledged is sent again (each verdict has an id, so it is stored once) and in the end given up.

const ANSWER_MS = 20000; // a busy server answers late, and what it stores late would be called lost
const MAX_TRIES = 3;

function newOutbox({ versionOf, onStored, onRefused, onGivenUp }) {
  const waiting = [];
  let flying = null;
  let number = 0; // of batches
  let named = 0;  // of verdicts
  const page = Math.random().toString(36).slice(2);

  // Of one dataset, up to the first undo, and never two verdicts on one image: the second is about what the first made of it.
  function nextBatch() {
    const batch = [];
    const images = new Set();
    const { dataset } = waiting[0];
    while (waiting.length && batch.length < 200) {
      const entry = waiting[0];
      if ((entry.image_id && images.has(entry.image_id)) || entry.dataset !== dataset) break;
      batch.push(waiting.shift());
      images.add(entry.image_id);
      if (entry.kind === 'undo') break;
    }
    return batch.map((entry) => (entry.kind === 'undo' ? entry : { ...entry, expected_version: versionOf(entry.image_id) }));
  }

  function pump() {
    if (flying || !waiting.length) return;
    number += 1;
    flying = { seq: `${page}-${number}`, entries: nextBatch(), tries: 0 };
    send();
  }

  function send() {
    flying.tries += 1;
    flying.timer = setTimeout(late, ANSWER_MS);
    trigger('sent', { seq: flying.seq, dataset: flying.entries[0].dataset, entries: flying.entries });
  }

  function late() {
    if (flying.tries < MAX_TRIES && !flying.entries.some((entry) => entry.kind === 'undo')) { send(); return; }
    const lost = [...flying.entries, ...waiting.splice(0)];
    flying = null;
    onGivenUp(lost);
  }

  return {
    post(...entries) {
      for (const entry of entries) {
        waiting.push(entry.kind === 'undo' ? entry : { ...entry, request_id: `${page}-${Date.now().toString(36)}-${(named += 1)}` });
      }
      pump();
    },
    // The latest verdict on an image that is not acknowledged yet.
    pendingOf(id) {
      for (const list of [waiting, flying ? flying.entries : []]) {
        for (let i = list.length - 1; i >= 0; i -= 1) if (list[i].image_id === id) return list[i];
      }
      return null;
    },
    get isEmpty() { return !flying && !waiting.length; },
    answered(answer) {
      if (!flying || !answer || answer.seq !== flying.seq) return;
      clearTimeout(flying.timer);
      const { entries } = flying;
      flying = null;
      const refused = answer.refused || {};
      for (let i = waiting.length - 1; i >= 0; i -= 1) if (refused[waiting[i].image_id]) waiting.splice(i, 1);
      onStored(answer.states || {}, answer.undone || []);
      for (const entry of entries) if (refused[entry.image_id]) onRefused(entry, refused[entry.image_id]);
      if (answer.problem) onGivenUp(entries, answer.problem);
      pump();
    },
  };
}
