// Where a recording goes: to a file that the visitor chooses, to the browser's own disk and from
// there to its downloads, or, where there is neither, to memory, of which there is little.

const OWN = 'recording-'; // how the names of files on the browser's own disk begin
const HANDED_MS = 10 * 60_000; // in which the browser has copied a download: nothing says when it has
export const MEMORY_MAX = 512 * 1024 * 1024; // bytes

/**
 * Opens what takes the recording: {write(bytes, position), keep(), end()}, and `limit`, in bytes,
 * where it has one. What was written before keep() stays, whatever happens later. end() never
 * rejects: it gives how many bytes are kept. Rejects with an AbortError if the visitor chooses no
 * file.
 */
export async function openDisk(name, type) {
  if (globalThis.showSaveFilePicker) {
    const handle = await showSaveFilePicker({ suggestedName: name, types: [{ accept: { [type]: [ending(name)] } }] });
    return inFile(handle, () => {});
  }
  try {
    return await inStore(name);
  } catch {
    return inMemory(name, type); // the browser has no disk of its own for this page
  }
}

/**
 * Removes what recordings of tabs that are gone have left on the browser's own disk: nobody wants a
 * call to stay there.
 */
export async function sweep() {
  const folder = await navigator.storage.getDirectory();
  const names = [];
  for await (const name of folder.keys()) names.push(name);
  for (const name of names.filter((each) => each.startsWith(OWN))) {
    await navigator.locks.request(name, { ifAvailable: true }, (lock) => lock && folder.removeEntry(name));
  }
}

// Each has a file of its own, and its lock: there may be recordings in several tabs.
async function inStore(name) {
  const folder = await navigator.storage.getDirectory();
  const own = OWN + crypto.randomUUID();
  const release = await hold(own);
  const handle = await folder.getFileHandle(own, { create: true });
  return inFile(handle, async (kept) => {
    if (kept) download(await handle.getFile(), name);
    setTimeout(() => folder.removeEntry(own).catch(() => {}).then(release), kept ? HANDED_MS : 0);
  });
}

function hold(name) {
  return new Promise((resolve, reject) => {
    navigator.locks.request(name, () => new Promise(resolve)).catch(reject);
  });
}

// Browsers write to a file of their own, which becomes the one that was asked for once it is
// closed; after a write that failed it can't be.
async function inFile(handle, ended) {
  let file = await handle.createWritable();
  let written = 0;
  let kept = 0;
  const close = async () => {
    await file.close();
    kept = written;
  };
  return {
    limit: Infinity,
    async write(data, position) {
      await file.write({ type: 'write', data, position });
      written = Math.max(written, position + data.length);
    },
    async keep() {
      await close();
      file = await handle.createWritable({ keepExistingData: true });
    },
    async end() {
      try {
        await close();
      } catch (error) {
        console.warn(error);
      }
      try {
        await ended(kept);
      } catch (error) {
        console.warn(error);
        kept = 0; // nobody gets it
      }
      return kept;
    },
  };
}

function inMemory(name, type) {
  const parts = []; // {data, position}, each but the last ones where the one before ends
  return {
    limit: MEMORY_MAX,
    async write(data, position) {
      const part = parts.find((each) => position >= each.position && position < each.position + each.data.length);
      if (part) part.data.set(data, position - part.position);
      else parts.push({ data, position });
    },
    async keep() {},
    async end() {
      const whole = new Blob(parts.map(({ data }) => data), { type });
      download(whole, name);
      return whole.size;
    },
  };
}

function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function ending(name) {
  return name.slice(name.lastIndexOf('.'));
}
