// A session: what an application asks of the hub, and what the hub tells it. It outlives its
// connections, and even the hub's memory of it: see the line.
import { Call, receiveCall } from './call.js';
import { needWebRTC } from './connection.js';
import { SignalboxError } from './errors.js';
import { Line } from './line.js';
import { checkJSON, Outbox } from './outbox.js';
import { Posts } from './posts.js';
import { Room } from './room.js';

// To abort means to close the session, if there is one.
export function connect({ signal, ...options } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) throw new SignalboxError('canceled');
    const session = new Session(options);
    const abort = () => {
      session._stop('canceled');
      reject(new SignalboxError('canceled'));
    };
    signal?.addEventListener('abort', abort);
    session.on('state', ({ state }) => state === 'closed' && signal?.removeEventListener('abort', abort));
    session._open().then(() => resolve(session), reject);
  });
}

export class Session extends Line {
  peerId = '';
  name = '';
  user = undefined;
  iceServers = [];
  iceExpiresAt = 0;
  rooms = new Map();
  calls = new Map(); // id -> Call
  _iceUntil = 0; // when the credentials end that connections have
  _unleft = new Set(); // rooms that were left when the queue had no place for it

  #outbox = new Outbox((text) => this._transmit(text));
  #posts = new Posts(() => this.state === 'open', (frame, answered) => (
    this._send(frame, answered, (error) => answered(this.#isPassing(error)))));

  constructor(options) {
    super(options);
    this._configuration = options.configuration;
  }

  async join(name, options) {
    const room = this.room(name, options);
    await room.join();
    return room;
  }

  room(name, options) {
    return new Room(this, name.normalize(), options); // as the pages do: the hub goes by each byte
  }

  async call(user, options) {
    needWebRTC();
    return new Call(this, `@${user.replace(/^@/, '')}`)._start(options);
  }

  signal(to, data, room) {
    return this.request({ type: 'signal', to, room, data });
  }

  async ping() {
    if (this.state !== 'open') throw new SignalboxError(this.state === 'closed' ? 'closed' : 'offline');
    const sent = performance.now();
    await this._ping();
    return performance.now() - sent;
  }

  async refreshIce() {
    await this.request({ type: 'ice' });
    return this.iceServers;
  }

  request(frame) {
    return new Promise((resolve, reject) => {
      if ('data' in frame) checkJSON(frame.data);
      this._send(frame, resolve, reject);
    });
  }

  close() {
    this._stop('closed');
  }

  _stop(code) {
    for (const group of this.#groups()) group._end();
    this._bye();
    this._end(new SignalboxError(code));
  }

  // Sends what a peer or a call has to say to its far end, of which there may be much at once.
  _post(frame) {
    this.#posts.add(frame);
  }

  // Tells whether it has a place in the queue.
  _send(frame, resolve, reject) {
    return this.#queue(JSON.stringify({ ...frame, id: undefined, seq: undefined }), resolve, reject);
  }

  #queue(text, resolve, reject) {
    if (this.state === 'closed') return reject?.(new SignalboxError('closed'));
    return this.#outbox.add(text, this.state === 'open', resolve, reject);
  }

  _receive(frame, link) {
    switch (frame.type) {
      case 'welcome':
        return this.#welcome(frame);
      case 'resumed':
        return this.#resumed(frame);
      case 'ack':
        return this.#answered(frame.id);
      case 'error':
        return this.#refused(frame, link);
      case 'ice':
        this.#setIce(frame);
        return this._emit('ice', { iceServers: this.iceServers, iceExpiresAt: this.iceExpiresAt });
      default:
        if (frame.room === undefined ? receiveCall(this, frame) : this.rooms.get(frame.room)?._receive(frame)) return;
        this._emit(frame.type, frame); // neither for a room nor for a call
    }
  }

  _online() {
    for (const peer of this.#peers()) peer.restartIce();
  }

  _end(error) {
    if (this.state === 'closed') return;
    super._end(error);
    this.#posts.clear();
    for (const { reject } of this.#outbox.clear()) reject?.(error);
    for (const group of this.#groups()) group._end(error);
  }

  // A new session, the first one or after one that could not be resumed. What had been sent may
  // have been carried out or not; what had not is sent now, after the joins of the rooms that it is
  // in.
  #welcome({ peerId, name, user, ...ice }) {
    const waiting = this.#outbox.clear();
    this.#posts.clear();
    this._unleft.clear(); // a new session is in no room yet
    Object.assign(this, { peerId, name, user });
    this.#setIce(ice);
    this.state = 'open';
    for (const group of this.#groups()) group._rejoin();
    if (this.state === 'closed') return; // by a listener
    for (const { sent, text, resolve, reject } of waiting) {
      if (sent) reject?.(new SignalboxError('lost'));
      else if (resolve) this.#queue(text, resolve, reject);
    }
    this._setState('open');
  }

  #resumed(frame) {
    this.#setIce(frame);
    this.#outbox.repeat();
    this._setState('open'); // only now: what listeners have to say comes after that
    const addressChanged = Boolean(frame.addressChanged);
    this._emit('resumed', { addressChanged });
    if (this.state !== 'open') return; // by a listener
    for (const room of this._unleft) if (!this.rooms.has(room)) this._send({ type: 'leave', room });
    this._unleft.clear();
    this.#posts.go();
    for (const peer of this.#peers()) peer._resume(addressChanged);
  }

  #refused(frame, link) {
    const error = new SignalboxError(frame.code, frame.message);
    if (frame.id) return this.#answered(frame.id, error);
    link.error = error;
    // A connection that was given up is told that it was replaced, which is as it should be.
    if (this.state === 'open' && this._isCurrent(link)) this._emit('error', { error });
  }

  #answered(id, error) {
    const request = this.#outbox.take(id);
    if (!request) return;
    if (!error) request.resolve?.();
    else if (request.reject) request.reject(error);
    else if (this.#isPassing(error)) this._post(JSON.parse(request.text));
  }

  // Whether what nobody waits for is to be said again. A candidate may cross the news that its
  // receiver has left: nobody needs to know.
  #isPassing(error) {
    if (error.code === 'rate-limited') return true;
    const isNews = this.state === 'open' && !/lost|no-such-peer|not-in-room/.test(error.code);
    if (isNews) this._emit('error', { error });
  }

  // For other servers, Firefox looks for another path at once: what a connection has is left to it
  // for half of its time, except by a hub that may have forgotten it.
  #setIce({ type, iceServers, iceExpiresAt }) {
    Object.assign(this, { iceServers, iceExpiresAt });
    if (type === 'resumed' && iceExpiresAt - this._iceUntil < (iceExpiresAt - Date.now()) / 2) return;
    this._iceUntil = iceExpiresAt;
    for (const group of this.#groups()) group._configure();
  }

  #groups() {
    return [...this.rooms.values(), ...this.calls.values()];
  }

  #peers() {
    return this.#groups().flatMap(({ peers }) => [...peers.values()]);
  }
}
