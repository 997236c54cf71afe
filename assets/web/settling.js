// How many choices at the left the server is still answering, and waiting for them. Runs in the head; pages/settling.py
// counts. What fills or reads the panel waits: else a late answer would be written over it, or read before it has come.
window.dfSettling = (() => {
  const LONGEST_MS = 15000;  // of a server that does not answer; then what waited goes its way
  let open = 0;
  return {
    begin: () => { open += 1; },
    end: () => { open -= 1; },
    done: async () => {
      const until = Date.now() + LONGEST_MS;
      while (open > 0 && Date.now() < until) await new Promise((next) => setTimeout(next, 20));
    },
  };
})();
