// A peer: one connection to one other end, kept alive while networks change and signaling comes and
// goes.
//
// Either end may lose its connection without the other noticing, for example when a page reloads
// while the box restarts. So every signal has the tags of both connections, as far as they are
// known: `tag` is the sender's, `for` the other one.
import { openChannel, sendText } from './channel.js';
import { Emitter } from './emitter.js';
import { SignalboxError } from './errors.js';
import { Senders } from './media.js';
import { Negotiation } from './negotiation.js';
import { Pace } from './pace.js';
import { Path, selectedPath } from './path.js';
import { randomID } from './random.js';
import { Watch } from './watch.js';

const DISCONNECTED_MS = 2000; // ICE often recovers by itself within this time
const GONE_MS = 5000; // how long somebody who is lost to the hub, too, may be disconnected

export class Peer extends Emitter {
  stream = new MediaStream();
  state = 'connecting';
  present = true;
  channel = null;

  #polite;
  #tag = randomID();
  #farTag;
  #attached = false;
  #senders;
  #negotiation;
  #watch;
  #path = new Path();
  #pace = new Pace();
  #disconnected;
  #leaving;
  #restarting;
  #restartWanted = false;

  constructor(room, { id, name, user, polite }) {
    super();
    this.room = room;
    this.id = id;
    this.name = name;
    this.user = user;
    this.#polite = polite;
    const pc = new RTCPeerConnection(room._configuration());
    this.connection = pc;
    pc.onconnectionstatechange = () => this.#follow();
    pc.ontrack = ({ track }) => {
      this.stream.addTrack(track);
      this._emit('track', { track, stream: this.stream });
    };
    this.#senders = new Senders(pc);
    this.#watch = new Watch(pc, { stats: (stats) => this.#measure(stats), stalled: () => this.#doubt() });
    this.#negotiation = new Negotiation(pc, {
      isPolite: () => this.#polite,
      attach: () => this.#attach(),
      send: (data) => this.#send(data),
      failed: (cause) => this.#failed(cause),
    });
  }

  async path() {
    const own = selectedPath(await this.connection.getStats());
    return own && this.#path.join(own);
  }

  send(text) {
    return sendText(this.channel, text);
  }

  async restartIce() {
    const { session } = this.room;
    this.#restartWanted = !this.present || session.state !== 'open';
    if (this.#restartWanted || this.state === 'closed') return;
    clearTimeout(this.#restarting);
    const wait = this.#pace.next();
    if (wait > 0) {
      this.#restarting = setTimeout(() => this.#connected || this.restartIce(), wait);
      return;
    }
    if (session.iceExpiresAt && session.iceExpiresAt < Date.now()) await session.refreshIce().catch(() => {});
    if (this.state !== 'closed') this.#negotiation.restart();
  }

  _emit(type, detail) {
    const withPeer = { peer: this, ...detail };
    super._emit(type, withPeer);
    this.room._emit(type, withPeer);
  }

  _setTrack(kind, track) {
    return this.#senders.set(kind, track);
  }

  // Whether the hub knows of this peer. Without it, the peer stays as long as its connection does.
  _setPresent(present, { name = this.name, user = this.user, polite = this.#polite } = {}) {
    this.name = name;
    this.user = user;
    this.#polite = polite;
    const news = present !== this.present;
    this.present = present;
    if (news) this._emit('presence', { present });
    this.#expire();
    if (!present) return;
    this.#negotiation.repeat(); // what was said meanwhile may have reached nobody
    // A box that was restarted has forgotten what it relayed.
    if (this.#restartWanted || this.#path.isRelayed || !this.#connected) this.restartIce();
  }

  _resume(swallowed, addressChanged) {
    if (swallowed) this.#negotiation.repeat();
    if (addressChanged || this.#restartWanted) this.restartIce();
  }

  // Takes what the far end's peer says. Tells whether it was for this one.
  _signal(data, polite = this.#polite) {
    this.#polite = polite;
    const { tag, for: own, description, candidate, path, restart } = data ?? {};
    if (!description && candidate === undefined && !path && !restart) return false;
    if (tag) {
      if (own && own !== this.#tag) return true; // it is for a connection that was here before this one
      if (this.#farTag && this.#farTag !== tag && !own) {
        const { id, name, user } = this; // the far end has begun anew
        this.room._add({ id, name, user, polite: this.#polite })?._signal(data);
        return true;
      }
      this.#farTag = tag;
    }
    if (restart) this.restartIce();
    else if (path) this.#path.hear(path);
    else this.#negotiation.receive(description, candidate);
    return true;
  }

  _close() {
    this.#negotiation.stop();
    this.#watch.stop();
    for (const timer of [this.#disconnected, this.#leaving, this.#restarting]) clearTimeout(timer);
    this.connection.close(); // fires no event, by specification
    this.state = 'closed';
  }

  get #connected() {
    return this.connection.connectionState === 'connected';
  }

  #attach() {
    if (this.#attached) return;
    this.#attached = true;
    if (this.room._dataChannel) {
      this.channel = openChannel(this.connection, {
        open: () => this._emit('open'),
        message: ({ data }) => this._emit('message', { data }),
      });
    }
    this.#senders.attach(this.room._source);
  }

  #send(data) {
    this.room._post(this, { tag: this.#tag, for: this.#farTag, ...data });
  }

  #failed(cause) {
    if (this.state === 'closed') return;
    const error = new SignalboxError('negotiation');
    error.cause = cause;
    this._emit('error', { error });
  }

  #follow() {
    const { connectionState } = this.connection;
    clearTimeout(this.#disconnected);
    if (connectionState === 'failed') this.restartIce();
    if (connectionState === 'disconnected') this.#disconnected = setTimeout(() => this.restartIce(), DISCONNECTED_MS);
    if (this.#connected && !this.#watch.isOn) {
      this.#watch.start();
      const ice = this.connection.getSenders()[0]?.transport?.iceTransport;
      if (ice) ice.onselectedcandidatepairchange = () => this.#senders.refresh();
    }
    const broken = connectionState === 'failed' || connectionState === 'disconnected';
    this.state = broken ? 'reconnecting' : this.#connected ? 'connected' : this.state;
    this._emit('state', { state: this.state });
    this.#expire();
  }

  #expire() {
    clearTimeout(this.#leaving);
    if (this.present || this.#connected || this.state === 'closed') return; // a listener may have hung up
    const grace = this.connection.connectionState === 'disconnected' ? GONE_MS : 0;
    this.#leaving = setTimeout(() => this.room._remove(this.id, 'lost'), grace);
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
    if (!this.#connected) return;
    await this.room.session._probe();
    this.restartIce();
  }
}
