// Where a recording goes: to a file that the visitor chooses, to the browser's own disk and from
// there to its downloads, or, where there is neither, to memory, of which there is little.

const NAME = 'recording';
export const MEMORY_MAX = 512 * 1024 * 1024; // bytes

/**
 * Opens what takes the recording: {write(bytes, position), end()}, and `limit`, in bytes, where it
 * has one. Rejects with an AbortError if the visitor chooses no file.
 */
export async function openDisk(name, type) {
  if (globalThis.showSaveFilePicker) {
    const handle = await showSaveFilePicker({ suggestedName: name, types: [{ accept: { [type]: [ending(name)] } }] });
    return inFile(handle, () => {});
  }
  try {
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle(NAME, { create: true });
    return await inFile(handle, async () => download(await handle.getFile(), name));
  } catch {
    return inMemory(name, type); // the browser has no disk of its own for this page
  }
}

async function inFile(handle, closed) {
  const file = await handle.createWritable();
  return {
    limit: Infinity,
    write: (data, position) => file.write({ type: 'write', data, position }),
    async end() {
      await file.close();
      await closed();
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
    async end() {
      download(new Blob(parts.map(({ data }) => data), { type }), name);
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
