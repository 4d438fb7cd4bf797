// How data is told on a channel of messages. Each message is binary: a byte that says what it is,
// and the data. What is too long for one comes in pieces; in the first, the length of it all
// follows that byte, as a 64-bit float. Whole messages may come in between.
import { SignalboxError } from '../errors.js';

// What the first byte says: what the data is, and whether it is the first and the last piece.
const BYTES = 0;
const JSON_TEXT = 1;
const TEXT = 2;
const NOTE = 3; // JSON, from this module at one end to that at the other
const KIND = 3;
const FIRST = 4;
const LAST = 8;
const GIVEN_UP = 16;

const PIECE_BYTES = 16 * 1024; // which every browser takes
const LONGEST = 256 * 1024 * 1024;

// The message that says it all at once.
export function messageOf(data) {
  return piece(kindOf(data) | FIRST | LAST, bytesOf(data));
}

// The message from one of this module to the other; `data` is what an application says in it.
export function noteOf(note, data = null) {
  jsonOf(data);
  return piece(NOTE | FIRST | LAST, bytesOf(note));
}

// Makes pieces of data of any length, and waits with each for `take({message, sent, total})`.
export async function eachPiece(data, take) {
  const isBlob = data instanceof Blob;
  const kind = isBlob ? BYTES : kindOf(data);
  const all = isBlob ? data : bytesOf(data);
  const total = isBlob ? all.size : all.length;
  if (total > LONGEST) throw new SignalboxError('too-large', 'The data is larger than 256 MiB.');
  let sent = 0;
  do {
    const part = all.slice(sent, sent + PIECE_BYTES);
    const bytes = isBlob ? new Uint8Array(await part.arrayBuffer()) : part;
    const first = sent ? 0 : FIRST;
    sent += bytes.length;
    await take({ message: piece(kind | first | (sent < total ? 0 : LAST), bytes, total), sent, total });
  } while (sent < total);
}

// What says that no more pieces come.
export function givenUp() {
  return piece(GIVEN_UP, []);
}

// Puts together what comes from one peer. What is not of this module is dropped.
export class Inbox {
  #told;
  #longest;
  #bytes = null; // of what is not complete, with place for more
  #received;
  #total;

  // Tells of each `message(data)`, `note(note, text)`, `progress({received, total})`, and `refused`
  // totals: those that are longer than `longest`.
  constructor(told, longest = LONGEST) {
    this.#told = told;
    this.#longest = longest;
  }

  take(message) {
    const [head] = new Uint8Array(message);
    const ends = head & (FIRST | LAST);
    const lead = ends === FIRST ? 9 : 1;
    if (message.byteLength < lead) return;
    const bytes = new Uint8Array(message, lead);
    if (ends === (FIRST | LAST)) return this.#deliver(head, bytes.slice());
    if (ends === FIRST) {
      this.#bytes = new Uint8Array();
      this.#received = 0;
      const total = new DataView(message).getFloat64(1);
      this.#total = Math.min(total, LONGEST);
      if (total > this.#longest) {
        this.#bytes = null;
        this.#told.refused(total);
      }
    }
    if (head & GIVEN_UP || !(this.#received + bytes.length <= this.#total)) this.#bytes = null;
    if (!this.#bytes) return;
    const all = this.#append(bytes);
    if (ends === LAST) this.#bytes = null;
    this.#told.progress({ received: this.#received, total: this.#total });
    if (ends === LAST && this.#received === this.#total) this.#deliver(head, all);
  }

  // A far end may say any length, and send pieces of nothing: only what has come takes memory.
  #append(bytes) {
    const received = this.#received + bytes.length;
    if (received > this.#bytes.length) {
      const before = this.#bytes;
      this.#bytes = new Uint8Array(Math.min(this.#total, 2 * received));
      this.#bytes.set(before);
    }
    this.#bytes.set(bytes, this.#received);
    this.#received = received;
    return this.#bytes;
  }

  #deliver(head, bytes) {
    const kind = head & KIND;
    if (kind === BYTES) return this.#told.message(bytes.buffer);
    const text = new TextDecoder().decode(bytes);
    if (kind === TEXT) return this.#told.message(text);
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      return;
    }
    if (kind === NOTE) this.#told.note(value ?? {}, text);
    else this.#told.message(value);
  }
}

function piece(head, bytes, total) {
  if ((head & (FIRST | LAST)) !== FIRST) return concatenate([[head], bytes]);
  const message = concatenate([[head], new Uint8Array(8), bytes]);
  new DataView(message.buffer).setFloat64(1, total);
  return message;
}

function concatenate(parts) {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function kindOf(data) {
  if (typeof data === 'string') return TEXT;
  return data instanceof ArrayBuffer || ArrayBuffer.isView(data) ? BYTES : JSON_TEXT;
}

function bytesOf(data) {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new TextEncoder().encode(typeof data === 'string' ? data : jsonOf(data));
}

// Refuses what JSON would lose without a word: of a Map, say, it leaves {}.
function jsonOf(data) {
  let cause;
  try {
    const text = JSON.stringify(data);
    if (text && (text !== '{}' || {}.toString.call(data) === '[object Object]')) return text;
  } catch (error) {
    cause = error;
  }
  throw Object.assign(new SignalboxError('bad-data'), { cause });
}
