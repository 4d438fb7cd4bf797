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
  #lines = new Map(); // by whom they are for -> {frames, sent, refused}; whose turn it is stands first
  #pace = new Turns(BURST, EVERY_MS, 0);

  // `send(frame, answered)` sends one; `answered(refused)` is called once the hub has answered it.
  constructor(isOpen, send) {
    this.#isOpen = isOpen;
    this.#send = send;
  }

  add(frame) {
    const line = this.#lines.get(frame.to) ?? { frames: [], sent: 0 };
    this.#lines.set(frame.to, line);
    if (line.frames.push(frame) > WAITING) line.frames.splice(line.sent, 1);
    this.go();
  }

  clear() {
    this.#lines = new Map();
  }

  // There is a connection, or a while has passed.
  go() {
    for (const [to, line] of this.#lines) {
      const frame = line.frames[line.sent];
      if (!line.frames.length) this.#lines.delete(to);
      if (!frame || line.refused) continue;
      if (!this.#isOpen() || !this.#mayGo()) return;
      this.#lines.delete(to);
      this.#lines.set(to, line);
      line.sent++;
      this.#send(frame, (refused) => this.#answered(line, refused));
    }
  }

  // What the hub has refused, since an application sends, too, or that peer reads too slowly, is
  // said again, and after it whatever came behind: the far end has it all in order.
  #answered(line, refused) {
    line.sent--;
    line.refused ||= refused;
    if (refused) while (this.#mayGo());
    if (!line.refused) line.frames.shift();
    else if (!line.sent) {
      setTimeout(() => {
        line.refused = false;
        this.go();
      }, REFUSED_MS);
    }
  }

  #mayGo() {
    return this.#pace.take('', () => this.go());
  }
}
