// The frames to the hub. Each has a number and is kept until it is answered, so that none is lost
// with a connection, and none is carried out twice.
import { SignalboxError } from './errors.js';

// The largest frame that the hub takes, without the numbers; it ends the session for a larger one.
const FRAME_BYTES = 64 * 1024 - 64;

// What may wait for a connection.
const QUEUE_FRAMES = 256;
const QUEUE_CHARACTERS = 256 * 1024;

// JSON leaves out what it can't say, or throws an error of its own.
export function checkJSON(data) {
  let cause;
  try {
    if (JSON.stringify(data) !== undefined) return;
  } catch (error) {
    cause = error;
  }
  throw Object.assign(new SignalboxError('bad-data'), { cause });
}

export class Outbox {
  #transmit;
  #sent = 0; // seq of the last frame
  #unanswered = new Map(); // id, which is seq as text -> {id, text, sent, resolve, reject}, in order

  // `transmit` is given each frame as text, while there is a connection.
  constructor(transmit) {
    this.#transmit = transmit;
  }

  // Takes a frame, and sends it if there is a connection. Tells whether there was a place for it.
  add(text, connected, resolve, reject) {
    if (new TextEncoder().encode(text).length > FRAME_BYTES) return reject?.(new SignalboxError('too-large'));
    if (!connected && !this.#hasPlace(text)) return reject?.(new SignalboxError('offline'));
    const id = String(++this.#sent);
    const entry = { id, text, sent: false, resolve, reject };
    this.#unanswered.set(id, entry);
    if (connected) this.#send(entry);
    return true;
  }

  // The frame that the hub has answered; it is kept no longer.
  take(id) {
    const entry = this.#unanswered.get(id);
    this.#unanswered.delete(id);
    return entry;
  }

  // The session goes on: what the hub has taken in already, it only answers again.
  repeat() {
    for (const entry of this.#unanswered.values()) this.#send(entry);
  }

  // A new session begins, with the first number. Returns what is unanswered of the one before.
  clear() {
    const entries = [...this.#unanswered.values()];
    this.#unanswered.clear();
    this.#sent = 0;
    return entries;
  }

  #hasPlace(text) {
    let characters = text.length;
    for (const entry of this.#unanswered.values()) characters += entry.text.length;
    return this.#unanswered.size < QUEUE_FRAMES && characters <= QUEUE_CHARACTERS;
  }

  #send(entry) {
    entry.sent = true;
    this.#transmit(`{"seq":${entry.id},"id":"${entry.id}",${entry.text.slice(1)}`);
  }
}
