// What the peers of a room or a call tell each other, over the data channel that the SDK has with
// each of them. It uses nothing of the SDK but what every application can.
import { Emitter } from '../emitter.js';
import { SignalboxError } from '../errors.js';
import { eachPiece, givenUp, Inbox, messageOf, noteOf } from './pieces.js';
import { answerOnce, Questions } from './questions.js';

const ANSWER_MS = 10_000;
const WAITING_BYTES = 256 * 1024; // in a channel; what comes next waits until that has gone

export class Data extends Emitter {
  #room;
  #meta;
  #longest;
  #far = new Map(); // peer -> {channel, inbox, meta, text, transfers, refused}
  #questions = new Questions();
  #waiting = new Set(); // until a channel is drained: {peer, done}
  #ends;
  #closed = false;

  constructor(room, { meta, longest } = {}) {
    super();
    this.#room = room;
    this.#meta = meta;
    this.#longest = longest;
    const follow = {
      open: ({ peer }) => this.#opened(peer),
      message: ({ peer, data }) => typeof data !== 'string' && this.#inboxOf(peer).take(data),
      left: ({ peer }) => this.#left(peer),
      state: ({ peer }) => this.#wake(peer), // it may have another connection
    };
    this.#ends = Object.entries(follow).map(([type, listener]) => room.on(type, listener));
    for (const peer of room.peers.values()) if (peer.channel?.readyState === 'open') this.#opened(peer);
  }

  // What a peer says of itself.
  metaOf(peer) {
    return this.#far.get(peer)?.meta;
  }

  setMeta(meta) {
    this.#meta = meta;
    return this.#send(noteOf({ meta }, meta), this.#peers());
  }

  send(data, peer) {
    return this.#send(messageOf(data), this.#peers(peer));
  }

  // What fails for all of them, fails.
  async transfer(data, { peer, ...options } = {}) {
    const ends = await Promise.allSettled(this.#peers(peer).map((each) => this.#transfer(each, data, options)));
    const reached = ends.filter(({ status }) => status === 'fulfilled').length;
    if (!reached && ends.length) throw ends[0].reason;
    return reached;
  }

  async drain(peer) {
    await Promise.all(this.#peers(peer).map((each) => this.#drained(each, each.channel)));
  }

  ask(peer, data, { timeout = ANSWER_MS } = {}) {
    return this.#questions.ask(peer, data, timeout, (ask) => this.#send(noteOf({ ask }, data), [peer]));
  }

  close() {
    for (const end of this.#ends) end();
    this.#questions.lose();
    this.#far.clear();
    this.#closed = true;
    for (const wait of [...this.#waiting]) wait.done();
  }

  #peers(peer) {
    return peer ? [peer] : [...this.#room.peers.values()];
  }

  #send(message, peers) {
    return peers.filter((peer) => peer.send(message)).length;
  }

  #farOf(peer) {
    if (!this.#far.has(peer)) this.#far.set(peer, {});
    return this.#far.get(peer);
  }

  // What began on another channel doesn't go on on this one.
  #inboxOf(peer) {
    const far = this.#farOf(peer);
    if (far.channel !== peer.channel) {
      far.channel = peer.channel;
      far.inbox = new Inbox({
        message: (data) => this._emit('message', { peer, data }),
        progress: (progress) => this._emit('progress', { peer, ...progress }),
        note: (note, text) => this.#note(peer, note, text),
        refused: (total) => this.#send(noteOf({ refused: total }), [peer]),
      }, this.#longest);
    }
    return far.inbox;
  }

  #opened(peer) {
    if (this.#meta !== undefined) this.#send(noteOf({ meta: this.#meta }, this.#meta), [peer]);
  }

  #left(peer) {
    this.#far.delete(peer);
    this.#questions.lose(peer);
    this.#wake(peer);
  }

  #note(peer, { meta, ask, answer, refused }, text) {
    if (meta !== undefined) this.#hearMeta(peer, meta, text);
    if (ask) this.#hearAsk(peer, ask);
    if (answer) this.#questions.answered(peer, answer);
    if (refused) this.#farOf(peer).refused = refused;
  }

  // A peer says it again when its connection is another one.
  #hearMeta(peer, meta, text) {
    const far = this.#farOf(peer);
    if (far.text === text) return;
    Object.assign(far, { meta, text });
    this._emit('meta', { peer, meta });
  }

  #hearAsk(peer, { id, data }) {
    const say = (answer) => this.#send(noteOf({ answer: { id, ...answer } }, answer.data), [peer]);
    if (!this._heard('ask')) return say({ refused: true });
    this._emit('ask', { peer, data, answer: answerOnce(say) });
  }

  // One after the other: their pieces would not be told apart.
  #transfer(peer, data, options) {
    const far = this.#farOf(peer);
    const send = () => this.#sendPieces(peer, data, options);
    far.transfers = (far.transfers ?? Promise.resolve()).then(send, send);
    return far.transfers;
  }

  async #sendPieces(peer, data, { onprogress, signal }) {
    const { channel } = peer;
    const check = (isFine, code) => {
      if (!isFine) throw new SignalboxError(code);
    };
    const far = this.#farOf(peer);
    far.refused = null;
    let begun = false;
    try {
      await eachPiece(data, async ({ message, sent, total }) => {
        await this.#drained(peer, channel, signal);
        check(!signal?.aborted && !this.#closed, 'canceled');
        check(far.refused !== total, 'too-large');
        check(peer.channel === channel && peer.send(message), 'no-channel');
        begun = true;
        onprogress?.({ peer, sent, total });
      });
    } catch (error) {
      if (begun && peer.channel === channel) peer.send(givenUp());
      throw error;
    }
  }

  // Resolves once little waits in the channel, there is another one, or nobody waits any more. A
  // connection that is closed says nothing of its channels.
  #drained(peer, channel, signal) {
    if (channel?.readyState !== 'open' || channel.bufferedAmount <= WAITING_BYTES) return null;
    if (signal?.aborted || this.#closed) return null;
    return new Promise((resolve) => {
      const ends = [[channel, 'bufferedamountlow'], [channel, 'close'], [signal, 'abort']];
      const done = () => {
        this.#waiting.delete(wait);
        for (const [target, type] of ends) target?.removeEventListener(type, done);
        resolve();
      };
      const wait = { peer, done };
      this.#waiting.add(wait);
      channel.bufferedAmountLowThreshold = WAITING_BYTES;
      for (const [target, type] of ends) target?.addEventListener(type, done);
    });
  }

  #wake(peer) {
    for (const wait of [...this.#waiting]) if (wait.peer === peer) wait.done();
  }
}
