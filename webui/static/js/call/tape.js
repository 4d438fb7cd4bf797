// A recording on its way to the disk. From time to time it is made a whole file there, with its
// duration, so that a full disk, or a tab that dies, costs only what came since.
import { durationsIn } from './mp4.js';
import { joined, withRoom } from './webm.js';

// With each time the browser copies what it has kept: at most some five times the file in all.
const KEEP_BYTES = 256 * 1024;
const KEEP_SHARE = 1 / 4;
const HEAD_MAX = 64 * 1024; // bytes of the head, which may come in pieces

export class Tape {
  #disk;
  #head = new Uint8Array(0); // what has come of it; null: it is written
  #room = null; // for the duration: see webm.js and mp4.js
  #position = 0;
  #kept = 0;
  #error = null;

  /** `disk` is from openDisk. */
  constructor(disk) {
    this.#disk = disk;
  }

  /** It takes no more. */
  get isFull() {
    return this.#error !== null || this.#position > this.#disk.limit;
  }

  /** Writes the next piece, with which the recording is `ms` long. Never rejects: see isFull. */
  async write(piece, ms) {
    if (this.#error) return;
    try {
      if (this.#head) {
        this.#head = joined(this.#head, piece);
        this.#room = withRoom(this.#head) ?? durationsIn(this.#head);
        if (this.#room || this.#head.length > HEAD_MAX) await this.#writeHead();
      } else {
        await this.#append(piece);
      }
      if (this.#position - this.#kept < Math.max(KEEP_BYTES, this.#kept * KEEP_SHARE)) return;
      await this.#writeDuration(ms);
      await this.#disk.keep();
      this.#kept = this.#position;
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Ends it: it is 'saved', 'handed' to the browser's downloads, which tell nobody what becomes of
   * it, 'cut' where there was no room for all of it, or 'lost'.
   */
  async end(ms) {
    const isFull = this.isFull;
    if (!this.#error) await this.#finish(ms).catch((error) => this.#fail(error));
    const kept = await this.#disk.end();
    if (!kept) return 'lost';
    if (isFull || kept < this.#position) return 'cut';
    return this.#disk.isCopied ? 'handed' : 'saved';
  }

  async #finish(ms) {
    if (this.#head?.length) await this.#writeHead();
    await this.#writeDuration(ms);
  }

  async #writeHead() {
    const bytes = this.#room?.bytes ?? this.#head;
    this.#head = null;
    await this.#append(bytes);
  }

  async #append(bytes) {
    await this.#disk.write(bytes, this.#position);
    this.#position += bytes.length;
  }

  async #writeDuration(ms) {
    for (const { at, of } of this.#room?.fields ?? []) await this.#disk.write(of(ms), at);
  }

  #fail(error) {
    console.warn(error);
    this.#error = error;
  }
}
