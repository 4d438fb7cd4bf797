// Calls to and from named users. The two ends tell each other, in signals, {call, id, ...}: `call`
// is ring, accept, back (in a new session) or peer, which is what peers say in rooms; and when they
// leave the call that the hub knows of: decline, cancel or end. A user may have several sessions,
// which all ring. The hub sees to it that the caller hears one of them: the first that says
// something, or the last that leaves.
import { needWebRTC } from './connection.js';
import { SignalboxError } from './errors.js';
import { Group } from './group.js';
import { randomID } from './random.js';
import { OWN } from './signals.js';

const RING_MS = 45_000;
const REASON = 128; // characters that a callee may say of why not
const BACK_MS = 3000; // between attempts to find the far end of a call again
const BACK_TRIES = 20;

// Takes what a session is told outside of rooms. Tells whether it was for a call.
export function receiveCall(session, frame) {
  if (frame.type === 'peer-left') {
    for (const call of [...session.calls.values()]) call._left(frame);
    return true;
  }
  const { call, id } = frame.data?.[OWN] ?? {};
  if (frame.type !== 'signal' || typeof call !== 'string' || typeof id !== 'string') return false;
  const known = session.calls.get(id);
  if (known) known._receive(frame);
  else if (call === 'ring') ring(session, frame);
  else if (call === 'peer' || call === 'back' || call === 'accept') refuse(session, frame, 'end'); // they need not wait
  return true;
}

function ring(session, frame) {
  if ([...session.calls.values()].some((call) => call._crosses(frame))) return;
  if (isWith(session, frame.from)) return refuse(session, frame, 'decline', 'busy');
  if (!session._heard('call')) return refuse(session, frame, 'decline', 'unavailable');
  session._emit('call', { call: new Call(session, frame.from, frame.data[OWN].id, frame) });
}

function isWith(session, id) {
  return [...session.calls.values()].some((call) => call._isWith(id));
}

// To leave would end another call with the same session, or take one back that rings there.
function refuse(session, { from, fromUser, data }, call, reason) {
  const stays = [...session.calls.values()].some((other) => other._isWith(from) || other._rings(fromUser));
  const type = stays ? 'signal' : 'leave';
  session._post({ type, to: from, data: { [OWN]: { call, id: data[OWN].id, reason } } });
}

export class Call extends Group {
  peer = null;

  #id;
  #to;
  #ring = null; // the frame that has announced it, until it is answered here
  #settle = null; // {resolve, reject} until it is answered there
  #timer;

  constructor(session, to, id = randomID(), ringing = null) {
    super(session);
    this.#to = to;
    this.#id = id;
    this.#ring = ringing;
    this.from = ringing?.from;
    this.name = ringing?.fromName;
    this.user = ringing?.fromUser;
    this.#timer = setTimeout(() => this.#giveUp('unanswered'), RING_MS);
    session.calls.set(id, this);
  }

  accept(options) {
    needWebRTC();
    if (!this.#ring) throw new SignalboxError('canceled');
    this._use(options);
    this.#accept(this.#ring);
    return this;
  }

  decline(reason) {
    if (!this.#ring) return;
    this.#ring = null;
    this.#say('decline', { reason }, 'leave');
    this._end();
  }

  hangup() {
    this.#say('end', {}, 'leave');
    this._end();
  }

  _start({ signal, ...options } = {}) {
    this._use(options);
    const abort = () => this.#giveUp('canceled');
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      if (signal?.aborted) return this._end(new SignalboxError('canceled'));
      signal?.addEventListener('abort', abort);
      const rung = () => this._stands || this.#cancel();
      this.#request('ring', this.#to).then(rung, (error) => this.#settle && this._end(error));
    }).finally(() => signal?.removeEventListener('abort', abort));
  }

  // Two who call each other at once have one call: that of the impolite end.
  _crosses(frame) {
    if (!this._rings(frame.fromUser)) return false;
    if (!frame.polite) return true;
    this.session.calls.delete(this.#id);
    this.session.calls.set(this.#id = frame.data[OWN].id, this);
    this.#accept(frame);
    return true;
  }

  _receive(frame) {
    const said = frame.data[OWN];
    const { call } = said;
    if (this.#settle) {
      if (call === 'accept') this.#begin(frame);
      if (call === 'decline') this.#declined(said);
    } else if (frame.from === this.#to) {
      if (call === 'cancel' || call === 'end') this.#over('left');
      if (call === 'back') this.peer?._setPresent(true, { polite: frame.polite });
      if (call === 'peer') this.peer?._signal(said, frame.polite);
    }
  }

  _left({ peer: { id, user }, reason, data }) {
    const said = data?.[OWN] ?? {};
    if (this.#settle) {
      if (this._rings(user) && (said.id ?? this.#id) === this.#id) this.#declined(said);
    } else if (id === this.#to) {
      if (this.peer && reason === 'lost') this.peer._setPresent(false);
      else this.#over(reason);
    } else if (said.id === this.#id) { // another session of this user's has heard of it instead
      this.peer?._setPresent(false);
      this.#seek();
    }
  }

  // The hub has forgotten the call. The first end to be back doesn't reach the other; the
  // second one does. One without a user name can't be called, so the end that can call goes on
  // trying.
  _rejoin(tries = BACK_TRIES) {
    const { peer } = this;
    if (!peer) return this._end(new SignalboxError('lost'));
    if (tries === BACK_TRIES) peer._setPresent(false);
    this.#request('back', peer.user ? `@${peer.user}` : peer.id).then(() => peer._setPresent(true), () => {
      if (peer.user && tries > 1) this.#seek(tries);
    });
  }

  #seek(tries = BACK_TRIES) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.peer.present || !this._stands || this._rejoin(tries - 1), BACK_MS);
  }

  get _stands() {
    return this.session.calls.has(this.#id);
  }

  _add(info) {
    const peer = super._add(info);
    if (peer) this.peer = peer;
    return peer;
  }

  _remove(id, reason) {
    this.#over(reason);
  }

  _isWith(id) {
    return id === this.#to;
  }

  _rings(user) {
    return Boolean(this.#settle) && this.#to === `@${user}`;
  }

  _end(error, reason = error?.code) {
    this.session.calls.delete(this.#id);
    clearTimeout(this.#timer);
    if (this.#ring) this._emit('canceled', { reason });
    this.#settle?.reject(error ?? new SignalboxError('canceled'));
    this.#ring = this.#settle = null;
    super._end(error);
  }

  _post(peer, data) {
    this.#say('peer', data);
  }

  #accept(frame) {
    this.#to = frame.from;
    this.#say('accept');
    this.#begin(frame);
  }

  #begin({ from, fromName, fromUser, polite }) {
    clearTimeout(this.#timer);
    this.#to = from;
    this.#settle?.resolve(this);
    this.#ring = this.#settle = null;
    this._add({ id: from, name: fromName, user: fromUser, polite });
  }

  // An end that leaves without a word has not declined.
  #declined({ call, reason }) {
    const error = new SignalboxError(call === 'decline' ? 'declined' : 'unanswered');
    this._end(Object.assign(error, { reason: typeof reason === 'string' ? reason.slice(0, REASON) : '' }));
  }

  #cancel() {
    this.#say('cancel', {}, 'leave');
  }

  #giveUp(code) {
    if (this.#settle) this.#cancel();
    if (this.#settle || this.#ring) this._end(new SignalboxError(code));
  }

  #over(reason) {
    if (this.peer) super._remove(this.peer.id, reason);
    this._end(null, reason);
    if (this.peer) this._emit('closed');
  }

  #say(call, data, type = 'signal') {
    this.session._post({ type, to: this.#to, data: { [OWN]: { ...data, call, id: this.#id } } });
  }

  #request(call, to) {
    return this.session.signal(to, { [OWN]: { call, id: this.#id } });
  }
}
