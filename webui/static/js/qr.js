// QR codes (ISO/IEC 18004) of bytes, with error correction level M, by which 15 % of a code may be
// covered, and always with mask 0: readers don't mind.

// By version, from 1 on: how many bytes of correction a block has, and how many blocks there are.
const CHECK_BYTES = [
  10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26,
  26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28,
];
const BLOCKS = [
  1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16,
  17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49,
];
const FORMAT = 0b101010000010010; // level M and mask 0, as written

/** The modules of a text's code, row by row, true for dark ones; null if it is too long for one. */
export function qr(text) {
  const bytes = new TextEncoder().encode(text);
  for (let version = 1; version <= BLOCKS.length; version++) {
    const room = capacity(version) - checkBytes(version);
    const header = version < 10 ? 12 : 20; // bits: mode and length
    if (bytes.length * 8 + header <= room * 8) return draw(version, withChecks(version, pad(bytes, version, room)));
  }
  return null;
}

const MARGIN = 4; // modules

/** Draws a text's code into an SVG element with a path in it. Returns whether it fits into one. */
export function drawCode(svg, text) {
  const modules = qr(text);
  if (!modules) return false;
  const side = modules.length + 2 * MARGIN;
  svg.setAttribute('viewBox', `${-MARGIN} ${-MARGIN} ${side} ${side}`);
  svg.querySelector('path').setAttribute('d', path(modules));
  return true;
}

/** A picture of modules, to be put into an SVG element whose viewBox is `-4 -4 size+8 size+8`. */
export function path(modules) {
  return modules.map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('');
}

function checkBytes(version) {
  return CHECK_BYTES[version - 1] * BLOCKS[version - 1];
}

// How many whole bytes the modules hold that have no other purpose.
function capacity(version) {
  let modules = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const marks = Math.floor(version / 7) + 2;
    modules -= (25 * marks - 10) * marks - 55;
    if (version >= 7) modules -= 36;
  }
  return modules >> 3;
}

// Mode "bytes", the length, the bytes, and what fills the rest.
function pad(bytes, version, room) {
  const lengthBits = version < 10 ? 8 : 16;
  const bits = [];
  const write = (value, count) => {
    for (let i = count - 1; i >= 0; i--) bits.push(value >> i & 1);
  };
  write(4, 4);
  write(bytes.length, lengthBits);
  for (const byte of bytes) write(byte, 8);
  write(0, Math.min(4, room * 8 - bits.length));
  while (bits.length % 8) bits.push(0);
  for (let filler = 0xec; bits.length < room * 8; filler ^= 0xec ^ 0x11) write(filler, 8);
  return Array.from({ length: room }, (_, i) => bits.slice(i * 8, i * 8 + 8).reduce((byte, bit) => byte << 1 | bit, 0));
}

// The bytes in blocks, the later of which may be one longer, each with its correction; the first
// bytes of all blocks come first.
function withChecks(version, data) {
  const blocks = BLOCKS[version - 1];
  const divisor = generator(CHECK_BYTES[version - 1]);
  const short = Math.floor(data.length / blocks);
  const longer = data.length % blocks;
  const parts = [];
  for (let at = 0; parts.length < blocks;) {
    const size = short + (parts.length >= blocks - longer ? 1 : 0);
    parts.push(data.slice(at, at + size));
    at += size;
  }
  const checks = parts.map((part) => remainder(part, divisor));
  return [...interleaved(parts, short + 1), ...interleaved(checks, divisor.length)];
}

function interleaved(parts, longest) {
  const nth = (i) => parts.filter((part) => i < part.length).map((part) => part[i]);
  return Array.from({ length: longest }, (_, i) => nth(i)).flat();
}

// In GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1.
function times(a, b) {
  let product = 0;
  for (let i = 7; i >= 0; i--) product = product << 1 ^ (product >> 7) * 0x11d ^ (b >> i & 1) * a;
  return product;
}

// The product of (x - 2^i), without its first coefficient, which is 1.
function generator(degree) {
  const result = [...Array(degree - 1).fill(0), 1];
  for (let i = 0, root = 1; i < degree; i++, root = times(root, 2)) {
    for (let j = 0; j < degree; j++) result[j] = times(result[j], root) ^ (result[j + 1] ?? 0);
  }
  return result;
}

function remainder(data, divisor) {
  const result = divisor.map(() => 0);
  for (const byte of data) {
    const factor = byte ^ result.shift();
    result.push(0);
    divisor.forEach((coefficient, i) => { result[i] ^= times(coefficient, factor); });
  }
  return result;
}

function draw(version, bytes) {
  const size = version * 4 + 17;
  const modules = Array.from({ length: size }, () => Array(size).fill(null)); // null: free for data
  const set = (x, y, dark) => {
    if (modules[y]?.[x] !== undefined) modules[y][x] = Boolean(dark);
  };
  drawMarks(version, size, modules, set);
  drawFormat(version, size, set);
  const bit = (i) => (bytes[i >> 3] ?? 0) >> (7 - (i & 7)) & 1;
  let i = 0;
  // Two columns at a time, from the right, up and down in turn; the timing's column doesn't count.
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    const isUp = (right + 1 & 2) === 0;
    for (let step = 0; step < size; step++) {
      const y = isUp ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (modules[y][x] === null) modules[y][x] = Boolean(bit(i++) ^ (x + y) % 2 === 0);
      }
    }
  }
  return modules;
}

// What readers find the code by.
function drawMarks(version, size, modules, set) {
  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
    around(4, (dx, dy, far) => set(x + dx, y + dy, far !== 2 && far !== 4));
  }
  const places = alignments(version, size);
  for (const x of places) {
    for (const y of places) {
      const isCorner = [x, y].filter((at) => at === 6).length + [x, y].filter((at) => at === size - 7).length === 2
        && !(x === size - 7 && y === size - 7);
      if (!isCorner) around(2, (dx, dy, far) => set(x + dx, y + dy, far !== 1));
    }
  }
}

function around(radius, each) {
  for (let dy = -radius; dy <= radius; dy++) {
    for (let dx = -radius; dx <= radius; dx++) each(dx, dy, Math.max(Math.abs(dx), Math.abs(dy)));
  }
}

function alignments(version, size) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, i) => size - 7 - i * step).reverse()];
}

function drawFormat(version, size, set) {
  const format = (i) => FORMAT >> i & 1;
  for (let i = 0; i < 15; i++) {
    set(8, i < 6 ? i : i < 8 ? i + 1 : size - 15 + i, format(i));
    set(i < 8 ? size - 1 - i : i < 9 ? 7 : 14 - i, 8, format(i));
  }
  set(8, size - 8, true);
  if (version < 7) return;
  let rest = version;
  for (let i = 0; i < 12; i++) rest = rest << 1 ^ (rest >> 11) * 0x1f25;
  const bits = version << 12 | rest;
  for (let i = 0; i < 18; i++) {
    const [along, across] = [Math.floor(i / 3), size - 11 + i % 3];
    set(across, along, bits >> i & 1);
    set(along, across, bits >> i & 1);
  }
}
