// WebM that browsers record has no duration, so that players can't seek in it. Room for one is made
// in its head, as it goes to disk; the duration itself is written at the end. EBML is RFC 8794.

const SEGMENT = 0x18538067;
const SEEK_HEAD = 0x114d9b74;
const INFO = 0x1549a966;
const CLUSTER = 0x1f43b675;
const TIMESTAMP_SCALE = 0x2ad7b1;
const DURATION = 0x4489;
const DURATION_BYTES = 11; // id, size, and a 64-bit float
const USUAL_SCALE = 1_000_000; // nanoseconds a tick

/**
 * The beginning of a recording with room for its duration: {bytes, fields: [{at, of}]}, where
 * `of(ms)` gives the bytes that stand at the position `at` once it is `ms` long; null if that can't
 * be.
 */
export function withRoom(bytes) {
  const segment = [...elements(bytes, 0, bytes.length)].find(({ id }) => id === SEGMENT);
  if (!segment) return null;
  let hasPositions = false;
  for (const { id, start, data, end } of elements(bytes, segment.data, bytes.length)) {
    if (id === CLUSTER) return null;
    if (id === SEEK_HEAD) hasPositions = end > data;
    if (id !== INFO || end > bytes.length) continue;
    const inside = [...elements(bytes, data, end)];
    const scale = inside.find((each) => each.id === TIMESTAMP_SCALE);
    const has = inside.find((each) => each.id === DURATION);
    const ticks = scale ? numberAt(bytes, scale.data, scale.end) : USUAL_SCALE;
    if (has) return has.end - has.data === 8 ? { bytes, fields: [field(has.data, ticks)] } : null;
    if (hasPositions) return null; // which would be wrong
    const size = end - data + DURATION_BYTES;
    const head = new Uint8Array([
      ...bytes.subarray(start, start + 4), 0x08, size >>> 24, size >>> 16, size >>> 8, size,
      ...bytes.subarray(data, end), 0x44, 0x89, 0x88, ...new Array(8).fill(0),
    ]);
    const whole = joined(bytes.subarray(0, start), head, bytes.subarray(end));
    return { bytes: whole, fields: [field(start + head.length - 8, ticks)] };
  }
  return null;
}

// A 64-bit float, in ticks of `scale` nanoseconds.
function field(at, scale) {
  return {
    at,
    of(ms) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setFloat64(0, ms * 1e6 / scale);
      return bytes;
    },
  };
}

// The elements between two positions; the last may go beyond the end, or have no known size.
function* elements(bytes, from, to) {
  for (let at = from; at < to;) {
    const idLength = lengthAt(bytes, at);
    const sizeLength = lengthAt(bytes, at + idLength);
    const data = at + idLength + sizeLength;
    if (data > to) return;
    const size = sizeAt(bytes, at + idLength, sizeLength);
    const end = size === null ? Infinity : data + size;
    yield { id: numberAt(bytes, at, at + idLength), start: at, data, end };
    at = end;
  }
}

function lengthAt(bytes, at) {
  return Math.clz32(bytes[at] ?? 0) - 23;
}

// All ones: it is not known.
function sizeAt(bytes, at, length) {
  const first = bytes[at] & (0xff >> length);
  const isKnown = first !== 0xff >> length || bytes.subarray(at + 1, at + length).some((byte) => byte !== 0xff);
  return isKnown ? first * 256 ** (length - 1) + numberAt(bytes, at + 1, at + length) : null;
}

function numberAt(bytes, from, to) {
  return bytes.subarray(from, to).reduce((sum, byte) => sum * 256 + byte, 0);
}

/** One array of several. */
export function joined(...parts) {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
