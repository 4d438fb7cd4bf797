// Where a recording goes: to a file that the visitor chooses, to the browser's own disk and from
// there to its downloads, or, where there is neither, to memory, of which there is little.

const OWN = 'recording-'; // how the names of files on the browser's own disk begin
const UNIQUE = crypto.randomUUID().length + 1; // characters, after that
const NAME_MAX = 50; // code points, of what stands after both
const HANDED = '.handed'; // ends the name of what says that the browser's downloads were given a file
const SWAP = '.crswap'; // ends the name of what Chromium writes to, lists, and clears away itself
const LEFT_MAX = 3; // files that no tab writes to, and as many that were handed
const LEFT_MS = 7 * 24 * 60 * 60_000;
const HANDED_MS = 24 * 60 * 60_000; // others may use the same browser
const COPYING_MS = 10 * 60_000; // in which the downloads may still read what they were given
export const MEMORY_MAX = 512 * 1024 * 1024; // bytes

/**
 * Opens what takes the recording: {write(bytes, position), keep(), end()}, and `limit`, in bytes,
 * where it has one. What was written before keep() stays, whatever happens later. end() never
 * rejects: it gives how many bytes are kept. `isCopied` says that they go to the browser's
 * downloads, of which nobody hears whether they were made or canceled, so that leftovers() has them
 * from then on. Rejects with an AbortError if the visitor chooses no file.
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
 * What is on the browser's own disk, [{name, size, isHanded, save(), remove()}]: what recordings of
 * tabs that are gone have left, the newest first; then what was handed to its downloads, the last
 * of it at the end. Nobody wants calls to stay there: only the newest are kept, for some days, and
 * what was handed for one.
 */
export async function leftovers(now = Date.now()) {
  const folder = await navigator.storage.getDirectory();
  const names = [];
  for await (const name of folder.keys()) if (name.startsWith(OWN) && !name.endsWith(SWAP)) names.push(name);
  const left = [];
  for (const own of new Set(names.map((name) => (name.endsWith(HANDED) ? name.slice(0, -HANDED.length) : name)))) {
    await navigator.locks.request(own, { ifAvailable: true }, async (lock) => {
      if (!lock) return; // its tab is there
      if (!names.includes(own)) return drop(folder, own);
      const { size, lastModified: ended } = await (await folder.getFileHandle(own)).getFile();
      const marker = await folder.getFileHandle(own + HANDED).catch(() => null); // another tab may just have made it
      const isHanded = marker !== null;
      const at = isHanded ? (await marker.getFile()).lastModified : ended;
      if (size && now - at < (isHanded ? HANDED_MS : LEFT_MS)) left.push({ own, size, at, isHanded });
      else await drop(folder, own);
    }).catch(console.warn); // another tab was faster, or the disk doesn't give it: others are offered
  }
  const unhanded = left.filter(({ isHanded }) => !isHanded).sort((a, b) => b.at - a.at);
  const handed = left.filter(({ isHanded }) => isHanded).sort((a, b) => a.at - b.at);
  const surplus = handed.slice(0, -LEFT_MAX).filter(({ at }) => now - at >= COPYING_MS);
  for (const { own } of [...unhanded.splice(LEFT_MAX), ...surplus]) await drop(folder, own);
  const kept = handed.filter((each) => !surplus.includes(each));
  return [...unhanded, ...kept].map(({ own, size, isHanded }) => {
    const name = own.slice(OWN.length + UNIQUE);
    return {
      name,
      size,
      isHanded,
      async save() {
        const release = await hold(own); // another tab may be about to remove it
        await hand(folder, await folder.getFileHandle(own), name).finally(release);
      },
      async remove() {
        const release = await hold(own); // another tab may be about to save it
        await drop(folder, own);
        release();
      },
    };
  });
}

// Each has a file of its own, and its lock: there may be recordings in several tabs.
async function inStore(name) {
  const folder = await navigator.storage.getDirectory();
  const own = `${OWN}${crypto.randomUUID()}.${[...name].slice(-NAME_MAX).join('')}`;
  const release = await hold(own);
  const handle = await folder.getFileHandle(own, { create: true });
  const ended = (kept) => (kept ? hand(folder, handle, name) : drop(folder, own)).finally(release);
  return { ...await inFile(handle, ended), isCopied: true };
}

// Gives a file to the browser's downloads, and keeps it.
async function hand(folder, handle, name) {
  const file = await handle.getFile();
  const marker = handle.name + HANDED;
  await folder.removeEntry(marker).catch(() => {}); // its time is that of the last handing
  await folder.getFileHandle(marker, { create: true }).catch(() => {}); // full: it is offered as new
  download(file, name);
}

async function drop(folder, own) {
  for (const name of [own, own + HANDED]) await folder.removeEntry(name).catch(() => {}); // there may be none
}

function hold(name) {
  return new Promise((resolve, reject) => {
    const held = (lock) => (lock ? new Promise(resolve) : reject(new Error('another tab has it')));
    navigator.locks.request(name, { ifAvailable: true }, held).catch(reject);
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
