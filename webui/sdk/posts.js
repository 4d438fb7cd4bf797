// What peers and calls have to say to their far ends. It goes out no faster than the hub takes it:
// a room that fills makes much at once, and what the hub refuses would be missing. While there is
// no connection it waits here, where an application's own requests can't take its place.

const BURST = 60; // frames at once, of the 400 that the hub takes by default
const EVERY_MS = 25; // one more
const REFUSED_MS = 1000; // until what the hub has refused is said again

export class Posts {
  #isOpen;
  #send;
  #waiting = [];
  #left = BURST;
  #since = 0; // when that was counted
  #timer;

  constructor(isOpen, send) {
    this.#isOpen = isOpen;
    this.#send = send;
  }

  add(frame) {
    this.#waiting.push(frame);
    this.go();
  }

  // The hub has refused it: an application sends, too, or that peer reads too slowly, for which the
  // others don't wait.
  again(frame) {
    const waiting = this.#waiting;
    this.#left = 0;
    setTimeout(() => waiting === this.#waiting && this.add(frame), REFUSED_MS);
  }

  clear() {
    clearTimeout(this.#timer);
    this.#waiting = [];
  }

  // There is a connection, or a while has passed.
  go() {
    clearTimeout(this.#timer);
    if (!this.#isOpen()) return;
    const now = performance.now();
    const more = Math.floor((now - this.#since) / EVERY_MS);
    this.#left = Math.min(BURST, this.#left + more);
    if (more) this.#since = now;
    for (; this.#left && this.#waiting.length; this.#left--) this.#send(this.#waiting.shift());
    if (this.#waiting.length) this.#timer = setTimeout(() => this.go(), EVERY_MS);
  }
}
