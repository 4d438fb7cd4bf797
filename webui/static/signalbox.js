// The signalbox SDK: signaling and peer connections for the browser. One ES module, no dependencies.
// Types and documentation of every call: /assets/signalbox.d.ts
//
//   const session = await connect({ name: 'Ada' });
//   const room = await session.join('tea', { stream });
//   room.on('track', ({ peer, stream }) => { video.srcObject = stream; });

const PROTOCOL = 'signalbox.v1';
const ANSWER_MS = 10_000; // how long an answer to a request, or a welcome, may take
const BACKOFF_MS = [0, 300, 1200, 2700, 4800, 7000];
const JITTER_MS = 1000; // so that the clients of a restarted box don't come back in one wave
const DISCONNECTED_MS = 2000; // ICE often recovers by itself within this time
const RESTART_GAP_MS = 2000;
const OPENING_MS = 1000;
const PATH_MS = 2000;
const PROTOCOLS = ['udp', 'tcp', 'tls'];

const SENTENCES = {
  unreachable: 'The signaling server could not be reached.',
  offline: 'The signaling connection is down; it is being rebuilt.',
  timeout: 'The signaling server did not answer in time.',
  closed: 'The session has been closed.',
  joined: 'This session is in that room already.',
  negotiation: 'The peers could not agree on a session description.',
};

/** What went wrong, as a code to branch on and a sentence to show. */
export class SignalboxError extends Error {
  constructor(code, message) {
    super(message || SENTENCES[code] || `The signaling server refused: ${code}.`);
    this.name = 'SignalboxError';
    this.code = code;
  }
}

/** Opens a signaling session. Rejects if the first attempt fails; from then on the session reconnects by itself. */
export async function connect(options = {}) {
  const session = new Session(options);
  await session._open();
  return session;
}

class Emitter {
  #listeners = new Map();

  /** Calls `listener(detail)` for each event of that type; returns a function that ends it. */
  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(listener);
    return () => this.#listeners.get(type).delete(listener);
  }

  _emit(type, detail = {}) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        reportError(error); // a broken listener must not break signaling
      }
    }
  }
}

class Session extends Emitter {
  peerId = '';
  name = '';
  user = undefined;
  state = 'connecting';
  iceServers = [];
  iceExpiresAt = 0;
  rooms = new Map();

  #url;
  #hello;
  #resumeToken;
  #socket = null;
  #lastError = null;
  #nextId = 1;
  #pending = new Map(); // request id -> {resolve, reject, timer}
  #pongs = [];
  #heartbeat;
  #wake = null; // ends the current back-off at once

  constructor({ url, name, user, token }) {
    super();
    this.#url = new URL(url ?? '/signal', import.meta.url);
    this.#url.protocol = this.#url.protocol.replace(/^http/, 'ws');
    this.#hello = { type: 'hello', name, user, token };
  }

  async _open() {
    addEventListener('online', this.#online);
    try {
      await this.#dial();
    } catch (error) {
      this.#end(error);
      throw error;
    }
  }

  /** Joins a room: every member becomes a peer with a connection of its own. */
  async join(name, options) {
    const room = this.room(name, options);
    await room.join();
    return room;
  }

  /** A room that is not joined yet: subscribe to its events first, then await `room.join()`. */
  room(name, options) {
    return new Room(this, name, options);
  }

  /** Sends data to a peer (an id, or "@user"). It arrives as a `signal` event unless it belongs to a room's negotiation. */
  signal(to, data, room) {
    return this.request({ type: 'signal', to, room, data });
  }

  /** Round trip to the signaling server, in milliseconds. */
  async ping() {
    const sent = performance.now();
    this._send({ type: 'ping' });
    await within(ANSWER_MS, new Promise((resolve) => this.#pongs.push(resolve)));
    return performance.now() - sent;
  }

  /** Asks for fresh ICE servers. They are pushed at half of the credential's life too. */
  async refreshIce() {
    await this.request({ type: 'ice' });
    return this.iceServers;
  }

  /** Sends one frame and resolves when the server has acknowledged it; rejects with its error. */
  request(frame) {
    return new Promise((resolve, reject) => {
      const id = String(this.#nextId++);
      this._send({ ...frame, id });
      const timer = setTimeout(() => this.#settle(id, new SignalboxError('timeout')), ANSWER_MS);
      this.#pending.set(id, { resolve, reject, timer });
    });
  }

  /** Leaves every room and ends the session. */
  close() {
    for (const room of [...this.rooms.values()]) room.leave();
    this.#end(new SignalboxError('closed'));
  }

  _send(frame) {
    if (this.state !== 'open') throw new SignalboxError(this.state === 'closed' ? 'closed' : 'offline');
    this.#socket.send(JSON.stringify(frame));
  }

  #dial() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.#url, PROTOCOL);
      const timer = setTimeout(() => ended({ code: 1006 }), ANSWER_MS);
      this.#socket = socket;
      this.#lastError = null;
      socket.onopen = () => socket.send(JSON.stringify({ ...this.#hello, replaces: this.#resumeToken }));
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.type === 'welcome') {
          clearTimeout(timer);
          this.#welcome(frame);
          resolve();
        } else {
          this.#receive(frame);
        }
      };
      const ended = ({ code }) => {
        clearTimeout(timer);
        if (this.#socket !== socket) return;
        this.#detach();
        // Only a close code of ours says that the last error was the reason; a line that broke has none.
        const error = (code >= 4000 && this.#lastError) || new SignalboxError('unreachable');
        error.final = code >= 4500 && code < 5000;
        reject(error); // of no effect once the welcome has come
        if (this.state === 'open') this.#lost(error);
      };
      socket.onclose = socket.onerror = ended; // a connection that failed has no code, and isn't final
    });
  }

  // A dead connection may take minutes to report its end: whoever gives it up must not hear of it again.
  #detach() {
    const socket = this.#socket;
    this.#socket = null;
    clearInterval(this.#heartbeat);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close(1000);
  }

  #welcome(frame) {
    this.peerId = frame.peerId;
    this.name = frame.name;
    this.user = frame.user;
    this.#resumeToken = frame.resumeToken;
    this.#setIce(frame);
    this.#setState('open');
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this.#probe(), (frame.heartbeatSeconds || 25) * 1000);
  }

  #receive(frame) {
    switch (frame.type) {
      case 'ack':
        return this.#settle(frame.id);
      case 'error':
        return this.#refused(frame);
      case 'pong':
        return this.#pongs.shift()?.();
      case 'ice':
        this.#setIce(frame);
        return this._emit('ice', { iceServers: this.iceServers, iceExpiresAt: this.iceExpiresAt });
      default:
        if (!this.rooms.get(frame.room)?._receive(frame)) this._emit(frame.type, frame);
    }
  }

  #refused(frame) {
    const error = new SignalboxError(frame.code, frame.message);
    if (frame.id) return this.#settle(frame.id, error);
    this.#lastError = error;
    // A candidate may cross the news that its receiver has left: nobody needs to know.
    if (this.state === 'open' && frame.code !== 'no-such-peer') this._emit('error', { error });
  }

  #settle(id, error) {
    const request = this.#pending.get(id);
    if (!request) return;
    this.#pending.delete(id);
    clearTimeout(request.timer);
    if (error) request.reject(error);
    else request.resolve();
  }

  #setIce({ iceServers, iceExpiresAt }) {
    this.iceServers = iceServers;
    this.iceExpiresAt = iceExpiresAt;
    for (const room of this.rooms.values()) room._configure();
  }

  #setState(state, error) {
    this.state = state;
    this._emit('state', { state, error });
  }

  async #lost(error) {
    for (const id of [...this.#pending.keys()]) this.#settle(id, new SignalboxError('offline'));
    this.#pongs = [];
    if (error.final) return this.#end(error);
    this.#setState('reconnecting', error);
    for (let attempt = 0; this.state === 'reconnecting'; attempt++) {
      const pause = BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] + Math.random() * JITTER_MS;
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, pause);
      });
      if (this.state !== 'reconnecting') return;
      try {
        await this.#dial();
      } catch (refusal) {
        if (refusal.final) return this.#end(refusal);
      }
    }
    for (const room of [...this.rooms.values()]) room._rejoin();
  }

  #end(error) {
    if (this.state === 'closed') return;
    removeEventListener('online', this.#online);
    this.#setState('closed', error);
    this.#detach();
    this.#wake?.();
    for (const id of [...this.#pending.keys()]) this.#settle(id, error);
    for (const room of [...this.rooms.values()]) room._end(error);
  }

  // A TCP connection whose path has gone says nothing; only an answer proves that it lives.
  async #probe() {
    const socket = this.#socket;
    try {
      await this.ping();
    } catch (error) {
      if (this.state === 'open' && this.#socket === socket) {
        this.#detach();
        this.#lost(error);
      }
    }
  }

  #online = () => {
    if (this.state === 'open') this.#probe();
    else this.#wake?.();
    for (const room of this.rooms.values()) room._restart();
  };
}

class Room extends Emitter {
  capacity = 0;
  peers = new Map();
  stream;

  #token;
  #relayOnly;
  #dataChannel;
  #tracks = {};
  #joining = null; // {resolve, reject} of the last join

  constructor(session, name, { stream, relayOnly = false, dataChannel = true, token } = {}) {
    super();
    this.session = session;
    this.name = name;
    this.stream = stream ?? new MediaStream(); // groups our tracks, so that the far side plays them in step
    this.#token = token;
    this.#relayOnly = relayOnly;
    this.#dataChannel = dataChannel;
    for (const track of this.stream.getTracks()) this.#tracks[track.kind] = track;
  }

  async join() {
    const { rooms } = this.session;
    if (rooms.has(this.name) && rooms.get(this.name) !== this) throw new SignalboxError('joined');
    // Known to the session before the frame goes out, so that no early signal is lost.
    rooms.set(this.name, this);
    const joined = new Promise((resolve, reject) => { this.#joining = { resolve, reject }; });
    const request = this.session.request({ type: 'join', room: this.name, token: this.#token });
    try {
      // The acknowledgement may come before or after `joined`; an error comes instead of both.
      await Promise.race([joined, request.then(() => joined)]);
    } catch (error) {
      rooms.delete(this.name);
      throw error;
    }
  }

  /** What is sent of that kind ("audio" or "video") to every peer, now and later; null sends nothing. */
  async replaceTrack(kind, track) {
    this.#tracks[kind] = track;
    await Promise.all([...this.peers.values()].map((peer) => peer._setTrack(kind, track)));
  }

  /** Sends text to every peer whose data channel is open. */
  send(text) {
    for (const peer of this.peers.values()) peer.send(text);
  }

  /** Sends data to every other member through the signaling server. */
  broadcast(data) {
    return this.session.request({ type: 'broadcast', room: this.name, data });
  }

  leave() {
    if (this.session.state === 'open') this.session._send({ type: 'leave', room: this.name });
    this._end();
  }

  _receive(frame) {
    switch (frame.type) {
      case 'joined':
        this.capacity = frame.capacity;
        for (const info of frame.peers) this.#add(info);
        this.#joining.resolve();
        return true;
      case 'peer-joined':
        this.#add(frame.peer);
        return true;
      case 'peer-left':
        this.#remove(frame.peer.id, frame.reason);
        return true;
      case 'signal':
        return this.peers.get(frame.from)?._signal(frame.data) ?? false;
      case 'broadcast':
        this._emit('broadcast', frame);
        return true;
      case 'left':
        return true;
    }
    return false;
  }

  _configure() {
    for (const peer of this.peers.values()) peer.connection.setConfiguration(this._configuration());
  }

  _configuration() {
    return {
      iceServers: this.session.iceServers,
      iceTransportPolicy: this.#relayOnly ? 'relay' : 'all',
      bundlePolicy: 'max-bundle',
    };
  }

  _channel(connection) {
    // Negotiated by agreement (id 0 on both ends), so that neither end waits for the other to open it.
    return this.#dataChannel ? connection.createDataChannel('signalbox', { negotiated: true, id: 0 }) : null;
  }

  _tracks() {
    return Object.values(this.#tracks).filter(Boolean);
  }

  _restart() {
    for (const peer of this.peers.values()) peer.restartIce();
  }

  // A new session is a new member to everybody: the peer connections of the old one have nobody at their far end.
  async _rejoin() {
    for (const id of [...this.peers.keys()]) this.#remove(id, 'lost');
    try {
      await this.join();
      this._emit('rejoined');
    } catch (error) {
      if (this.session.state === 'reconnecting') this.session.rooms.set(this.name, this); // the next connection tries
      else this._end(error);
    }
  }

  _end(error) {
    this.session.rooms.delete(this.name);
    this.#joining?.reject(error ?? new SignalboxError('closed')); // of no effect once it has joined
    for (const id of [...this.peers.keys()]) this.#remove(id, 'left');
    if (error) this._emit('closed', { error });
  }

  #add(info) {
    this.#remove(info.id, 'lost');
    const peer = new Peer(this, info);
    this.peers.set(peer.id, peer);
    this._emit('peer', { peer });
  }

  #remove(id, reason) {
    const peer = this.peers.get(id);
    if (!peer) return;
    this.peers.delete(id);
    peer._close();
    this._emit('left', { peer, reason });
  }
}

// One peer connection, negotiated as in the "Perfect Negotiation Example" of webrtc-pc: the server has said who is polite.
class Peer extends Emitter {
  stream = new MediaStream();
  state = 'connecting';
  channel = null;

  #polite;
  #senders = {};
  #attached = false;
  #makingOffer = false;
  #ignoreOffer = false;
  #isSettingRemoteAnswerPending = false;
  #opening;
  #disconnected;
  #pathTimer;
  #restartedAt = 0;
  #told = null; // the path that the far end knows of
  #farPath = null;

  constructor(room, { id, name, user, polite }) {
    super();
    this.room = room;
    this.id = id;
    this.name = name;
    this.user = user;
    this.#polite = polite;
    const pc = new RTCPeerConnection(room._configuration());
    this.connection = pc;
    pc.onnegotiationneeded = () => this.#offer();
    pc.onicecandidate = ({ candidate }) => this.#send({ candidate }); // null, the end of candidates, is sent too
    pc.onconnectionstatechange = () => this.#follow();
    pc.ontrack = ({ track }) => {
      this.stream.addTrack(track);
      this._emit('track', { track, stream: this.stream });
    };
    // If both ends attached at once, each join would be a collision, and the polite end's first gathering, with its
    // allocations on the relay, would be thrown away. It therefore lets the other one open, but not for ever.
    if (this.#polite) this.#opening = setTimeout(() => this.#attach(), OPENING_MS);
    else this.#attach();
  }

  /** How media travels: {kind: 'direct' | 'relay', protocol, rtt in ms}, or null while there is no path. */
  async path() {
    const own = await selectedPath(this.connection);
    return own && this.#joinPaths(own);
  }

  /** Sends text over the data channel; false if it is not open. */
  send(text) {
    if (this.channel?.readyState !== 'open') return false;
    this.channel.send(text);
    return true;
  }

  /** Looks for a new path while the old one goes on. Does nothing while signaling is down or just after the last restart. */
  restartIce() {
    const now = performance.now();
    if (this.room.session.state !== 'open' || now - this.#restartedAt < RESTART_GAP_MS) return;
    this.#restartedAt = now;
    this.connection.restartIce();
  }

  _emit(type, detail) {
    const withPeer = { peer: this, ...detail };
    super._emit(type, withPeer);
    this.room._emit(type, withPeer);
  }

  async _setTrack(kind, track) {
    const sender = this.#senders[kind];
    if (sender) await sender.replaceTrack(track);
    else if (track && this.#attached) this.#senders[kind] = this.connection.addTrack(track, this.room.stream);
  }

  _signal(data) {
    if (data?.path) this.#farPath = PROTOCOLS.includes(data.path.protocol) ? data.path : null;
    else if (data?.description || data?.candidate !== undefined) this.#negotiate(data);
    else return false;
    return true;
  }

  _close() {
    clearTimeout(this.#opening);
    clearTimeout(this.#disconnected);
    clearInterval(this.#pathTimer);
    this.connection.close(); // fires no event, by specification
    this.state = 'closed';
  }

  #attach() {
    clearTimeout(this.#opening);
    if (this.#attached) return;
    this.#attached = true;
    this.channel = this.room._channel(this.connection);
    if (this.channel) {
      this.channel.onopen = () => this._emit('open');
      this.channel.onmessage = ({ data }) => this._emit('message', { data });
    }
    for (const track of this.room._tracks()) this._setTrack(track.kind, track);
  }

  async #offer() {
    const pc = this.connection;
    try {
      this.#makingOffer = true;
      await pc.setLocalDescription();
      this.#send({ description: pc.localDescription });
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#makingOffer = false;
    }
  }

  async #negotiate({ description, candidate }) {
    const pc = this.connection;
    try {
      if (description) {
        const readyForOffer = !this.#makingOffer && (pc.signalingState === 'stable' || this.#isSettingRemoteAnswerPending);
        const offerCollision = description.type === 'offer' && !readyForOffer;
        this.#ignoreOffer = !this.#polite && offerCollision;
        if (this.#ignoreOffer) return;
        this.#attach(); // before the offer is applied, so that our tracks take the places that it opens
        this.#isSettingRemoteAnswerPending = description.type === 'answer';
        await pc.setRemoteDescription(description); // rolls our own offer back if need be
        this.#isSettingRemoteAnswerPending = false;
        if (description.type === 'offer') {
          await pc.setLocalDescription();
          this.#send({ description: pc.localDescription });
        }
      } else {
        try {
          await pc.addIceCandidate(candidate ?? undefined);
        } catch (error) {
          if (!this.#ignoreOffer) throw error;
        }
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #send(data) {
    const { session, name } = this.room;
    if (session.state !== 'open') return; // this connection is replaced when the session is back
    session._send({ type: 'signal', to: this.id, room: name, data });
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
    if (connectionState === 'connected' && !this.#pathTimer) {
      this.#watchPath();
      this.#pathTimer = setInterval(() => this.#watchPath(), PATH_MS);
    }
    const broken = connectionState === 'failed' || connectionState === 'disconnected';
    this.state = broken ? 'reconnecting' : connectionState === 'connected' ? 'connected' : this.state;
    this._emit('state', { state: this.state });
  }

  async #watchPath() {
    const own = await selectedPath(this.connection).catch(() => null); // it may have been closed meanwhile
    if (!own || this.state === 'closed') return;
    const { kind, protocol } = own;
    if (kind !== this.#told?.kind || protocol !== this.#told?.protocol) {
      this.#told = { kind, protocol };
      this.#send({ path: this.#told });
    }
    this._emit('path', { path: this.#joinPaths(own) });
  }

  // Statistics name the transport to a relay only at the end that uses it. Both ends therefore tell each other theirs.
  #joinPaths({ kind, protocol, rtt, farRelay }) {
    if (kind === 'direct' && this.#farPath?.kind === 'relay') return { kind: 'relay', protocol: this.#farPath.protocol, rtt };
    return { kind: farRelay ? 'relay' : kind, protocol, rtt };
  }
}

// The transport between this browser and the relay decides how a call is relayed, and only `relayProtocol` tells it: the
// candidate's own protocol is that of the relayed leg, and its type may be prflx.
async function selectedPath(connection) {
  const stats = await connection.getStats();
  let pair;
  for (const entry of stats.values()) {
    if (entry.type === 'transport' && entry.selectedCandidatePairId) pair = stats.get(entry.selectedCandidatePairId);
  }
  for (const entry of stats.values()) {
    // Firefox has no transport statistics that name the pair.
    if (!pair && entry.type === 'candidate-pair' && (entry.selected ?? (entry.nominated && entry.state === 'succeeded'))) pair = entry;
  }
  const local = stats.get(pair?.localCandidateId);
  if (!local) return null;
  const remote = stats.get(pair.remoteCandidateId);
  const rtt = pair.currentRoundTripTime === undefined ? null : Math.round(pair.currentRoundTripTime * 1000);
  if (local.relayProtocol || local.candidateType === 'relay') {
    return { kind: 'relay', protocol: local.relayProtocol ?? 'udp', rtt };
  }
  return { kind: 'direct', protocol: local.protocol ?? 'udp', rtt, farRelay: remote?.candidateType === 'relay' };
}

function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new SignalboxError('timeout')), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
