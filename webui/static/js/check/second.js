// A second vantage point: somebody opens the page's link on another device, which runs the same
// test. Each tells the other what came of it, over the hub, and the two call each other through the
// relay.
import { essence, ofBoth } from './both.js';
import { median } from './relay.js';
import { readVerdict } from './saved.js';

const ID_BYTES = 6; // which nobody guesses while a test lasts
const CALL_MS = 15_000; // until there is a way, or there is none
const ROUNDS = 5;
const UNANSWERED = ['unreachable', 'timeout'];

/** A name for the two to meet under. */
export function newID() {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Second {
  #options;
  #room = null;
  #peer = null;
  #theirs = null; // what the other device has found
  #call = null; // {rtt}, or {rtt: null} if there was no way
  #late;

  /**
   * `connect` is the SDK's; `report` gives what this device has found, or undefined; `token` admits
   * it; `show` is called with each verdict, and `ended` when the two can't meet any more.
   */
  constructor({ connect, report, token, show, ended }) {
    this.#options = { connect, report, token, show, ended };
  }

  /** Waits for the other device under an id; again, once it has ended. */
  async open(id) {
    const { connect, token, show } = this.#options;
    this.#peer = this.#theirs = this.#call = null;
    show({ verdict: 'running', words: 'second.waiting' });
    let session;
    try {
      session = await connect({ name: 'check', token, keep: false });
      this.#room = session.room(`check/${id}`, { relayOnly: true });
      this.#room.on('peer', ({ peer }) => this.#meet(peer));
      this.#room.on('left', ({ peer }) => this.#miss(peer));
      this.#room.on('broadcast', ({ data }) => this.#hear(data));
      await this.#room.join();
      this.#room.on('closed', ({ error }) => {
        session.close();
        this.#end('second.lost', error);
      });
    } catch (error) {
      session?.close();
      this.#end(UNANSWERED.includes(error.code) ? 'second.lost' : 'second.refused', error);
    }
  }

  // What has been found stays.
  #end(words, error) {
    clearTimeout(this.#late);
    this.#peer = null;
    const { show, ended } = this.#options;
    if (!this.#theirs || !this.#call) show({ verdict: 'bad', words, params: { code: error?.code ?? 'internal' } });
    ended();
  }

  /** Tells the other device what this one has found. */
  share() {
    const report = this.#options.report();
    if (!report || !this.#peer) return;
    this.#room.broadcast(essence(report)).catch(() => {}); // the other one then waits, and says so
    this.#judge();
  }

  #meet(peer) {
    this.#peer = peer;
    this.#call = this.#theirs = null;
    clearTimeout(this.#late);
    this.#late = setTimeout(() => this.#settle(null), CALL_MS);
    peer.on('open', () => this.#measure(peer));
    this.share();
    this.#judge();
  }

  // What has been found stays.
  #miss(peer) {
    if (peer !== this.#peer) return;
    this.#peer = null;
    clearTimeout(this.#late);
    if (!this.#theirs || !this.#call) this.#options.show({ verdict: 'running', words: 'second.waiting' });
  }

  // Each end answers the other's, and measures by its own.
  #measure(peer) {
    const rtts = [];
    let sent;
    const ask = () => {
      sent = performance.now();
      peer.send('ask');
    };
    peer.on('message', ({ data }) => {
      if (data === 'ask') return peer.send('answer');
      if (data !== 'answer' || rtts.length === ROUNDS) return;
      if (rtts.push(Math.round((performance.now() - sent) * 10) / 10) < ROUNDS) ask();
      else this.#settle(median(rtts));
    });
    ask();
  }

  #settle(rtt) {
    clearTimeout(this.#late);
    this.#call = { rtt };
    this.#judge();
  }

  #hear(data) {
    if (!readVerdict(data) || !Array.isArray(data.servers)) return;
    this.#theirs = data;
    this.#judge();
  }

  #judge() {
    const mine = this.#options.report();
    if (!mine || !this.#theirs || !this.#call) {
      return this.#options.show({ verdict: 'running', words: 'second.met' });
    }
    this.#options.show(ofBoth(essence(mine), this.#theirs, this.#call.rtt), this.#theirs);
  }
}
