// What peers and calls have to say to their far ends. It goes out no faster than the hub takes it:
// a room that fills makes much at once, and what the hub refuses would be missing. While there is
// no connection it waits here, where an application's own requests can't take its place. The far
// ends take turns, so that what one of them makes us answer delays no other.
import { Turns } from './turns.js';

const BURST = 60; // frames at once, of the 400 that the hub takes by default
const EVERY_MS = 25; // one more
const WAITING = 256; // frames for one far end, of which the first are out of date
const REFUSED_MS = 1000; // until what the hub has refused is said again

export class Posts {
  #isOpen;
  #send;
  #waiting = new Map(); // by whom they are for -> frames; whose turn it is stands first
  #pace = new Turns(BURST, EVERY_MS, 0);

  constructor(isOpen, send) {
    this.#isOpen = isOpen;
    this.#send = send;
  }

  add(frame) {
    const frames = this.#waiting.get(frame.to) ?? [];
    if (frames.push(frame) > WAITING) frames.shift();
    this.#waiting.set(frame.to, frames);
    this.go();
  }

  // The hub has refused it: an application sends, too, or that peer reads too slowly, for which the
  // others don't wait.
  again(frame) {
    const waiting = this.#waiting;
    while (this.#mayGo());
    setTimeout(() => waiting === this.#waiting && this.add(frame), REFUSED_MS);
  }

  clear() {
    this.#waiting = new Map();
  }

  // There is a connection, or a while has passed.
  go() {
    for (const [to, frames] of this.#waiting) {
      if (!this.#isOpen() || !this.#mayGo()) return;
      this.#waiting.delete(to);
      this.#send(frames.shift());
      if (frames.length) this.#waiting.set(to, frames);
    }
  }

  #mayGo() {
    return this.#pace.take('', () => this.go());
  }
}
