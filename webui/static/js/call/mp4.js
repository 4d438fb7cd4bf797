// MP4 that browsers record is made of fragments. Its head, which comes first, tells the duration of
// none or of the first of them, of each track in the wrong unit, too, and there are players that
// show no more than that. The right one is written over it. ISO/IEC 14496-12, 4.2 and 8.

// Boxes that hold others on the way to durations.
const HOLDERS = ['moov', 'trak', 'mdia', 'mvex'];
const MOVIE = 'mvhd';

// Of the boxes with a duration: where it and its unit are, in bytes from the version on, by version
// (0, 1). What has no unit of its own is in the movie's, which stands before it.
const DURATIONS = {
  mvhd: { unit: [12, 20], duration: [16, 24] },
  tkhd: { duration: [20, 28] },
  mdhd: { unit: [12, 20], duration: [16, 24] },
  mehd: { duration: [4, 4] },
};

/**
 * The beginning of a recording and its durations, as withRoom of webm.js gives them; null as long
 * as its head isn't whole.
 */
export function durationsIn(bytes) {
  const head = [...boxes(bytes, 0, bytes.length)].find(({ type }) => type === 'moov');
  if (!head || head.end > bytes.length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = [];
  let movie = 0; // ticks a second
  for (const { type, data, end } of within(bytes, head)) {
    const version = bytes[data] ? 1 : 0;
    const { unit, duration } = DURATIONS[type];
    const at = data + duration[version];
    const isLong = version === 1;
    if (at + (isLong ? 8 : 4) > end) return null;
    const ticks = unit ? view.getUint32(data + unit[version]) : movie;
    if (type === MOVIE) movie = ticks;
    fields.push({ at, of: (ms) => number(Math.round(ms * ticks / 1000), isLong) });
  }
  return { bytes, fields };
}

function* within(bytes, { data, end }) {
  for (const box of boxes(bytes, data, end)) {
    if (box.end > end) return;
    if (HOLDERS.includes(box.type)) yield* within(bytes, box);
    else if (box.type in DURATIONS) yield box;
  }
}

// The boxes between two positions; the last may go beyond the end.
function* boxes(bytes, from, to) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = from; at + 8 <= to;) {
    const size = view.getUint32(at);
    if (size < 8) return; // longer than a head, or up to the end of the file: none of these
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    yield { type, data: at + 8, end: at + size };
    at += size;
  }
}

function number(value, isLong) {
  const bytes = new Uint8Array(isLong ? 8 : 4);
  const view = new DataView(bytes.buffer);
  if (isLong) view.setBigUint64(0, BigInt(value));
  else view.setUint32(0, Math.min(value, 0xffffffff));
  return bytes;
}
