// Reads the provenance record out of a PNG (iTXt chunk `dermaflux`) in the browser and hands its text to Python.
// element and trigger come from gr.HTML. Event: 'record_read'. Nothing else of the file is sent.

const MAX_BYTES = 64 * 1024 * 1024;
const zone = element.querySelector('.df-drop');
const input = zone.querySelector('input');
const note = zone.querySelector('.df-drop-note');
const first = note.textContent;

const latin = (bytes) => String.fromCharCode(...bytes);

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// keyword 0, compression flag, method, language 0, translated keyword 0, text (PNG specification, 11.3.3.4)
async function textOf(chunk) {
  const keyword = chunk.indexOf(0);
  const language = chunk.indexOf(0, keyword + 3);
  const translated = chunk.indexOf(0, language + 1);
  const text = chunk.subarray(translated + 1);
  return new TextDecoder().decode(chunk[keyword + 1] ? await inflated(text) : text);
}

async function recordOf(file) {
  if (file.size > MAX_BYTES) throw new Error(`${file.name} is larger than 64 MB. Use the original PNG.`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (latin(bytes.subarray(1, 4)) !== 'PNG') throw new Error(`${file.name} is no PNG. Only PNGs made here hold a record.`);
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const chunk = bytes.subarray(at + 8, at + 8 + length);
    if (latin(bytes.subarray(at + 4, at + 8)) === 'iTXt' && latin(chunk.subarray(0, 10)) === 'dermaflux\0') return textOf(chunk);
    at += 12 + length;
  }
  throw new Error(`${file.name} holds no DermaFlux record: it was not made here, or another program saved it without. `
    + 'Use the original file.');
}

async function take(file) {
  if (!file) return;
  zone.dataset.state = '';
  try {
    const record = await recordOf(file);
    note.textContent = `Read the record of ${file.name}.`;
    await window.dfSettling.done();
    trigger('record_read', { record, name: file.name });
  } catch (error) {
    zone.dataset.state = 'refused';
    note.textContent = error.message;
  }
  setTimeout(() => { note.textContent = first; zone.dataset.state = ''; }, 12000);
}

const carriesFile = (event) => event.dataTransfer && [...event.dataTransfer.types].includes('Files');
const panel = element.closest('.df-panel') || zone;
panel.addEventListener('dragover', (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  panel.classList.add('is-over');
});
panel.addEventListener('dragleave', (event) => { if (!panel.contains(event.relatedTarget)) panel.classList.remove('is-over'); });
panel.addEventListener('drop', (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  panel.classList.remove('is-over');
  take(event.dataTransfer.files[0]);
});
zone.querySelector('button').addEventListener('click', () => input.click());
input.addEventListener('change', () => { take(input.files[0]); input.value = ''; });
