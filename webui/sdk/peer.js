// A peer: one other end, and the connection with it, which is kept alive while networks change and
// signaling comes and goes.
//
// Either end may begin anew without the other noticing, for example when a page reloads while the
// box restarts. So every signal has the tags of both ends, as far as they are known: `tag` is the
// sender's, `for` the other one. A connection that can't be agreed upon is replaced by another one
// between the same ends: `link` is its number.
import { checkMessage, sendMessage } from './channel.js';
import { Connection } from './connection.js';
import { Emitter } from './emitter.js';
import { SignalboxError } from './errors.js';
import { Path, selectedPath } from './path.js';
import { randomID } from './random.js';
import { Turns } from './turns.js';

const DISCONNECTED_MS = 2000; // ICE often recovers by itself within this time
const GONE_MS = 5000; // how long somebody who is lost to the hub, too, may be disconnected
const CONNECT_MS = 20_000; // for what is agreed upon to connect
const RETRY_MS = 30_000; // for a second attempt to connect
const NAMED = 64; // streams of one far end that have a name
const SOUND_MS = 30_000; // what has been connected for so long may have a second attempt again

export class Peer extends Emitter {
  stream = new MediaStream();
  streams = new Map(); // those that have a name, by it
  state = 'connecting';
  present = true;
  rebuilds = 0;

  #polite;
  #leads; // whether this end has begun the connection; undefined for the first one, which nobody has
  #tag = randomID();
  #farTag;
  #heard = false; // anything of the far end
  #link;
  #connection;
  #named = new Map(); // id -> {name, stream}, of all streams that had a name
  #prepared = new WeakSet(); // receivers
  #path = new Path();
  #retried = false; // the negotiation has failed, and what there is now is the second attempt
  #timers = new Turns(6, 10_000, 2000); // for restarts of ICE
  #restartWanted = false;

  constructor(room, { id, name, user, polite }) {
    super();
    Object.assign(this, { room, id, name, user });
    this.#polite = polite;
    this.#begin(1);
  }

  get connection() {
    return this.#connection.pc;
  }

  get channel() {
    return this.#connection.channel;
  }

  async path(report) {
    const stats = report ?? await this.#connection.until(this.connection.getStats());
    const own = stats && selectedPath(stats);
    return own ? this.#path.join(own) : null;
  }

  send(data) {
    checkMessage(data);
    return sendMessage(this.channel, data);
  }

  async restartIce() {
    const { session } = this.room;
    this.#restartWanted = !this.#isReachable;
    if (this.#restartWanted || this.state === 'closed') return;
    if (!this.#timers.take('restart', () => this.#connection.isConnected || this.restartIce())) return;
    if (session._iceUntil && session._iceUntil < Date.now()) await session.refreshIce().catch(() => {});
    if (this.state === 'failed' || this.#connection.isDead) this.rebuild();
    else if (this.state !== 'closed') this.#connection.negotiation.restart();
  }

  // Has another connection take the place of this one, with nothing of it left. The end that begins
  // it leads it: to ask the other one would take a word more, of which each may be late.
  rebuild() {
    if (this.state === 'closed') return;
    if (this.#connection.negotiation.isLed) return this.#send({ want: { anew: true } });
    this.#begin(this.#link + 1, true);
    // Of a connection that has nothing to offer, the far end would not hear: it has to ask.
    if (!this.channel && !this.connection.getTransceivers().length) this.#send({});
  }

  _emit(type, detail) {
    const withPeer = { peer: this, ...detail };
    super._emit(type, withPeer);
    this.room._emit(type, withPeer);
  }

  // Another track is sent, or none.
  _update(sent) {
    if (sent.name) this.#sayStreams();
    return this.#connection.until(this.#connection.senders.update(sent));
  }

  // Whether the hub knows of this peer. Without it, the peer stays as long as its connection does.
  _setPresent(present, { name = this.name, user = this.user, polite = this.#polite } = {}) {
    const news = present !== this.present;
    Object.assign(this, { name, user, present });
    this.#polite = polite;
    if (news) this._emit('presence', { present });
    this.#expire();
    if (!present) return;
    this.#connection.negotiation.repeat(); // what was said meanwhile may have reached nobody
    // A box that was restarted has forgotten what it relayed, and candidates on their way.
    const isBroken = this.connection.remoteDescription && !this.#connection.isConnected;
    if (this.#restartWanted || this.#path.isRelayed || isBroken) this.restartIce();
  }

  _resume(addressChanged) {
    if (addressChanged || this.#restartWanted) this.restartIce();
  }

  // Takes what the far end's peer says.
  _signal(data, polite = this.#polite) {
    this.#polite = polite;
    const { tag, for: own, link = this.#link, want } = data;
    const isAnother = tag && this.#farTag && this.#farTag !== tag; // the far end has begun anew
    const isFormer = own && own !== this.#tag; // it is for a page that was here before this one
    if (isFormer && !isAnother) return;
    const begins = isAnother || Number.isInteger(link) && link > this.#link || want?.anew || want?.restart;
    if (begins && !this.room._turns.take(this.id, () => this._signal(data))) return;
    if (isAnother && (isFormer || !own)) {
      const { id, name, user } = this;
      const next = this.room._add({ id, name, user, polite: this.#polite });
      // Who speaks to the page before, and not from the end that this one knows, knows nothing of
      // this one, and this one of an end that is over: its word had been on the way for long.
      return isFormer || next?._signal(data);
    }
    this.#farTag = tag ?? this.#farTag;
    // It has done so because of what this one has said. What this one has, is it of the former end?
    if (isAnother && this.connection.remoteDescription) this.rebuild();
    else if (isAnother) {
      this.#connection.negotiation.forget();
      this.#sayStreams();
    }
    this.#heard = true;
    if (data.streams) this.#hearStreams(data.streams);
    // What is of a connection that was here before this one, or of none, says nothing of this one.
    if (!(Number.isInteger(link) && link >= this.#link)) return;
    if (link > this.#link) this.#begin(link, false);
    const { description, offer, candidates, path, leads } = data;
    const { negotiation } = this.#connection;
    negotiation.isLed ||= leads;
    if (description) negotiation.describe(description, offer);
    if (candidates) negotiation.take(candidates);
    if (path) this.#path.hear(path);
    if (want?.anew) this.rebuild();
    else if (want) negotiation.asked(want);
  }

  // The far end names the streams that it sends now.
  #hearStreams(names) {
    for (const [name, id] of Object.entries(names)) {
      if (!this.#named.has(id)) {
        if (this.#named.size === NAMED) continue;
        this.#named.set(id, { name, stream: new MediaStream() });
      }
      const { stream } = this.#named.get(id);
      if (this.streams.get(name) === stream) continue;
      this.streams.set(name, stream);
      this._emit('stream', { name, stream });
    }
    for (const name of [...this.streams.keys()]) {
      if (!Object.hasOwn(names, name) && this.streams.delete(name)) this._emit('stream', { name, stream: null });
    }
  }

  _close() {
    this.#connection.close();
    this.#timers.clearAll();
    this.state = 'closed';
  }

  get #isReachable() {
    return this.present && this.room.session.state === 'open';
  }

  #sayStreams() {
    this.#send({ streams: this.room._source.names });
  }

  #send(data) {
    this.room._post(this, { tag: this.#tag, for: this.#farTag, link: this.#link, ...data });
  }

  // Begins a connection, in the place of the one that there is.
  #begin(link, leads) {
    const before = this.#connection;
    before?.close();
    for (const name of ['restart', 'disconnected']) this.#timers.clear(name);
    for (const { stream } of [this, ...this.#named.values()]) {
      for (const track of stream.getTracks()) stream.removeTrack(track);
    }
    this.#link = link;
    this.#leads = leads;
    this.#connection = new Connection(this.room, this.#end());
    this.#connection.send(this.room._source, (sender, { kind, name }) => {
      this.#prepare({ kind, name, sender });
      this.#prepareReceivers();
    });
    this.#watchConnecting();
    if (!before) return;
    this.rebuilds++;
    this.#setState(this.state === 'connecting' ? 'connecting' : 'reconnecting');
  }

  // What is agreed upon and doesn't connect, and doesn't say why, has lost something on the way.
  #watchConnecting() {
    this.#timers.later('connect', CONNECT_MS, () => {
      if (this.#connection.isConnected || this.state === 'failed') return;
      if (this.connection.remoteDescription) this.restartIce();
      this.#watchConnecting();
    });
  }

  #setState(state) {
    this.state = state;
    this._emit('state', { state });
  }

  // What a connection asks of its peer, and tells it.
  #end() {
    const peer = this;
    return {
      get leads() { return (this.isForeign ? null : peer.#leads) ?? !peer.#polite; },
      get hasChannel() { return Boolean(peer.room._dataChannel); },
      get isReachable() { return peer.#isReachable; },
      get isSilent() { return peer.#polite && !peer.#heard; },
      get isForeign() { return peer.#heard && !peer.#farTag; },
      send: (data) => peer.#say(data),
      rebuild: () => peer.rebuild(),
      failed: (cause) => peer.#failed(cause),
      yield: (description, offer) => peer.#yield(description, offer),
      track: (event) => peer.#receive(event),
      added: () => peer.#prepareReceivers(),
      changed: () => peer.#follow(),
      open: () => peer._emit('open'),
      message: ({ data }) => peer._emit('message', { data }),
      stats: (stats) => peer.#measure(stats),
      stalled: () => peer.#doubt(),
    };
  }

  #receive({ track, streams: [{ id } = {}] }) {
    this.#prepareReceivers();
    const { name, stream } = this.#named.get(id) ?? { name: '', stream: this.stream };
    stream.addTrack(track);
    this._emit('track', { track, stream, name });
  }

  // The application may set up each sender and receiver.
  #prepare(what) {
    this.room._options.prepare?.({ peer: this, ...what });
  }

  // A receiver is there as soon as its sender is. Chromium ignores a transform that comes later.
  #prepareReceivers() {
    for (const { receiver } of this.connection.getTransceivers()) {
      if (this.#prepared.has(receiver)) continue;
      this.#prepared.add(receiver);
      this.#prepare({ kind: receiver.track.kind, receiver });
    }
  }

  // Says what the negotiation has to say, and with a description, how its streams are called.
  #say(data) {
    const { description } = data;
    if (!description) return this.#send(data);
    const { type, sdp } = description;
    const { _options: { sdpTransform }, _source: { names } } = this.room;
    const said = sdpTransform?.(sdp, { peer: this, type }) ?? sdp;
    this.#send({ ...data, description: { type, sdp: said }, streams: names });
  }

  // The far end has made an offer while one of this end's is not answered: both have begun this
  // connection, or the server has said anew who leads. The impolite end has its way. Only a
  // connection that has nothing yet is easily given up for the far end's.
  #yield(description, offer) {
    if (!this.#polite) return;
    if (this.connection.remoteDescription) return this.rebuild();
    this.#begin(this.#link, this.#leads && false); // who leads the first one still goes by the hub
    this.#connection.negotiation.describe(description, offer);
  }

  // What fails, for whatever reason, is tried once more, with a connection that has no past.
  #failed(cause) {
    if (this.state === 'closed' || this.state === 'failed') return;
    if (!this.#retried) {
      this.#retried = true;
      this.#timers.later('retry', RETRY_MS, () => this.#connection.isConnected || this.#failed(cause));
      return this.rebuild();
    }
    this.#setState('failed');
    this._emit('error', { error: Object.assign(new SignalboxError('negotiation'), { cause }) });
  }

  #follow() {
    const { connectionState } = this.connection;
    this.#timers.clear('disconnected');
    if (connectionState === 'failed') this.restartIce();
    if (connectionState === 'disconnected') {
      this.#timers.later('disconnected', DISCONNECTED_MS, () => this.restartIce());
    }
    this.#timers.clear('sound');
    if (this.#connection.isConnected) {
      this.#connection.start();
      this.#timers.clear('retry');
      this.#timers.later('sound', SOUND_MS, () => { this.#retried = false; });
    }
    const broken = /failed|disconnected/.test(connectionState);
    const state = broken ? 'reconnecting' : this.#connection.isConnected ? 'connected' : this.state;
    if (state !== this.state) this.#setState(state);
    this.#expire();
  }

  #expire() {
    this.#timers.clear('leave');
    if (this.present || this.#connection.isConnected || this.state === 'closed') return; // a listener may have hung up
    const grace = this.connection.connectionState === 'disconnected' ? GONE_MS : 0;
    this.#timers.later('leave', grace, () => this.room._remove(this.id, 'lost'));
  }

  #measure(stats) {
    const own = selectedPath(stats);
    if (!own) return;
    const path = this.#path.news(own);
    if (path) this.#send({ path });
    this._emit('path', { path: this.#path.join(own) });
  }

  // Nothing comes any more: is it signaling, too?
  async #doubt() {
    const connection = this.#connection;
    if (!connection.isConnected) return;
    await this.room.session._probe();
    if (connection === this.#connection) this.restartIce();
  }
}
