// What is said while the box is out of reach. What it relays ends with it, and the rest goes on:
// that is told by what arrives, not by signaling.
import { byId } from '../dom.js';
import { say } from '../i18n.js';

const EVERY_MS = 500;
const SAMPLE_MS = 1000; // what a sample tells of

export class Outage {
  #peers;
  #since = 0;
  #timer = null;

  /** `peers()` gives what is known of each: {state, sample, sends}. */
  constructor(peers) {
    this.#peers = peers;
  }

  start() {
    this.#since = Date.now();
    this.#timer ??= setInterval(() => this.#say(), EVERY_MS);
    this.#say();
    byId('banner').hidden = false;
  }

  end() {
    clearInterval(this.#timer);
    this.#timer = null;
    byId('banner').hidden = true;
    say(byId('banner-text'), '');
  }

  // Live regions announce what is set, so that the same is not set twice.
  #say() {
    const key = this.#key();
    if (byId('banner-text').dataset.key === key) return;
    byId('banner-text').dataset.key = key;
    say(byId('banner-text'), key);
  }

  #key() {
    const arriving = this.#peers().map((peer) => this.#arrives(peer));
    if (arriving.includes(false)) return 'status.stopped';
    return arriving.length && arriving.every(Boolean) ? 'status.flows' : 'status.reconnecting';
  }

  // Whether something has arrived since the box is out of reach; null: that can't be told.
  #arrives({ state, sample, sends }) {
    if (state !== 'connected') return false;
    if (!sample || sample.at < this.#since + SAMPLE_MS) return null;
    if (sample.down.packets) return true;
    return sends ? false : null;
  }
}
