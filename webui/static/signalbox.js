// The signalbox SDK: signaling and peer connections for the browser. One ES module, no dependencies.
// Types, and the documentation of every call: /assets/signalbox.d.ts

const PROTOCOL = 'signalbox.v1';
const ANSWER_MS = 10_000; // how long a welcome or a pong may take
const OPEN_MS = 4000; // how long a carrier may take to open
const DOUBT_MS = 3000; // how long a pong may take when there is reason to believe that the path has gone
const BACKOFF_MS = [0, 300, 1200, 2700, 4800, 7000];
const JITTER_MS = 1000; // so that the clients of a restarted box don't come back in one wave
const FIRST_JITTER_MS = 200;
const FRAME_BYTES = 64 * 1024 - 64; // what the hub takes, without the numbers; it ends the session of whoever says more
const QUEUE_FRAMES = 256; // what may wait for a connection
const QUEUE_CHARACTERS = 256 * 1024;
const POST_FRAMES = 63; // what one POST may hold, and a farewell
const POST_CHARACTERS = 64 * 1024; // at most 192 KiB in UTF-8; the hub takes 256
const LAST_WORD_MS = 500;
const UNCONFIRMED = 256 * 1024; // characters, 1024 for each frame, after which the hub is told to forget them
const DISCONNECTED_MS = 2000; // ICE often recovers by itself within this time
const RESTART_GAP_MS = 2000;
const BACK_MS = 3000; // between attempts to find the far end of a call again
const BACK_TRIES = 20;
const RESTARTS = 6; // in a minute
const MINUTE_MS = 60_000;
const GONE_MS = 5000; // how long somebody who is lost to the hub, too, may be disconnected
const OPENING_MS = 1000;
const WATCH_MS = 2000;
const RING_MS = 45_000;
const REASON = 128; // characters that a callee may say of why not
const BYE = '{"type":"bye"}';
const PROTOCOLS = ['udp', 'tcp', 'tls'];

const SENTENCES = {
  unreachable: 'The signaling server could not be reached.',
  offline: 'The signaling connection is down, and too much is waiting for it already.',
  lost: 'The signaling session was lost: whether this was still carried out is not known.',
  timeout: 'The signaling server did not answer in time.',
  closed: 'The session has been closed.',
  joined: 'This session is in that room already.',
  'too-large': 'The data are longer than the signaling server takes.',
  negotiation: 'The peers could not agree on a session description.',
  declined: 'The call was declined.',
  unanswered: 'Nobody answered the call.',
  canceled: 'The call was canceled.',
};

export class SignalboxError extends Error {
  constructor(code, message) {
    super(message || SENTENCES[code] || `The signaling server refused: ${code}.`);
    this.name = 'SignalboxError';
    this.code = code;
  }
}

export async function connect(options = {}) {
  const session = new Session(options);
  await session._open();
  return session;
}

class Emitter {
  #listeners = new Map();

  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(listener);
    return () => this.#listeners.get(type).delete(listener);
  }

  _heard(type) {
    return this.#listeners.get(type)?.size > 0;
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

// A carrier is one connection to the hub. It takes frames as text, and reports that it is open, each frame, and with or without
// a code that it has ended.

class WebSocketCarrier {
  #socket;

  constructor(url, { open, frame, end }) {
    this.#socket = new WebSocket(url.replace(/^http/, 'ws'), PROTOCOL);
    this.#socket.onopen = open;
    this.#socket.onmessage = ({ data }) => frame(JSON.parse(data));
    this.#socket.onclose = this.#socket.onerror = ({ code }) => end(code); // a connection that failed has no code
  }

  send(text) {
    this.#socket.send(text);
  }

  // A dead connection may take minutes to report its end: whoever closes it must not hear of it again.
  close(farewell) {
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    if (farewell) socket.send(farewell);
    socket.close(1000);
  }
}

// Server-sent events down, POSTs up: for networks and proxies that WebSockets don't get through.
class EventsCarrier {
  #url;
  #source;
  #key;
  #seen;
  #end;
  #waiting = [];
  #posting = false;
  #unconfirmed = 0;
  #abort = new AbortController();

  constructor(url, { open, frame, end, seen }) {
    this.#url = url;
    this.#seen = seen;
    this.#end = end;
    this.#source = new EventSource(`${url}/events`);
    this.#source.addEventListener('open', ({ data }) => {
      if (!data) return; // that is the browser's own event of this name
      this.#key = JSON.parse(data).key;
      open();
    });
    this.#source.onmessage = ({ data }) => {
      frame(JSON.parse(data));
      if ((this.#unconfirmed += 1024 + data.length) >= UNCONFIRMED) this.#post();
    };
    this.#source.addEventListener('ping', () => this.#post());
    this.#source.addEventListener('close', ({ data }) => this.#end(JSON.parse(data).code));
    this.#source.onerror = () => this.#end(); // left alone, it would connect again without resuming
  }

  send(text) {
    this.#waiting.push(text);
    this.#post();
  }

  close(farewell) {
    this.#source.onmessage = null;
    this.#source.onerror = () => this.#source.close(); // or it would connect again, for a session that nobody has
    this.#end = () => {};
    const last = this.#take();
    this.#waiting = [];
    if (!farewell) {
      this.#abort.abort(); // a POST that gets stuck would hold one of the browser's few connections
      return this.#source.close();
    }
    const say = (frames) => fetch(`${this.#url}/send`, { ...this.#request(frames), keepalive: true });
    // Browsers let no more than 64 KiB outlive the page. The key is good as long as the stream is.
    say([...last, farewell]).catch(() => say([farewell])).catch(() => {}).finally(() => this.#source.close());
  }

  // One POST at a time keeps the order; what comes meanwhile goes with the next one.
  async #post() {
    if (this.#posting) return;
    this.#posting = true;
    await null; // what is said in one go, goes in one
    do {
      const response = await fetch(`${this.#url}/send`, { ...this.#request(this.#take()), signal: this.#abort.signal }).catch(() => null);
      if (!response?.ok) return setTimeout(() => this.#end(), LAST_WORD_MS); // the stream may be about to say why
    } while (this.#waiting.length || this.#unconfirmed >= UNCONFIRMED);
    this.#posting = false;
  }

  #take() {
    let frames = 0;
    for (let size = 0; frames < Math.min(this.#waiting.length, POST_FRAMES); frames++) {
      size += this.#waiting[frames].length;
      if (frames && size > POST_CHARACTERS) break;
    }
    return this.#waiting.splice(0, frames);
  }

  #request(frames) {
    this.#unconfirmed = 0;
    return { method: 'POST', body: `{"key":${JSON.stringify(this.#key)},"received":${this.#seen()},"frames":[${frames}]}` };
  }
}

const CARRIERS = { websocket: WebSocketCarrier, sse: EventsCarrier };
const other = (carrier) => (carrier === 'sse' ? 'websocket' : 'sse');

// A session outlives its connections. Each frame to the hub has a number and is kept until it is answered; each frame of the
// hub's has a number, too. A new connection resumes at both.
class Session extends Emitter {
  peerId = '';
  name = '';
  user = undefined;
  state = 'connecting';
  carrier = 'websocket';
  iceServers = [];
  iceExpiresAt = 0;
  rooms = new Map();
  _calls = new Map(); // id -> Call
  _unleft = new Set(); // rooms that were left when the queue had no place for it

  #url;
  #hello;
  #token; // admission: text, or a function that gives it
  #keep;
  #resumeToken;
  #resumable = false; // otherwise the token is only good for keeping the peer id
  #link = null; // the carrier in use
  #former = null; // one that was given up: what it has already confirmed to the hub may still be on its way to us
  #sent = 0; // seq of our last frame
  #seen = 0; // seq of the last frame of the hub's
  #unanswered = new Map(); // id, which is seq as text -> {id, text, sent, resolve, reject}, in order
  #swallowed = false; // something that nobody waits for had no place in the queue
  #pongs = [];
  #heartbeat;
  #attempt = 0; // where the next back-off begins, if this connection is short
  #since = 0;
  #wake = null; // ends the current back-off at once
  #unwatch = null; // stops the clock of the connection that is being made
  #network = globalThis.navigator?.connection?.type;
  #away = false; // the page is hidden for good, or in the back/forward cache

  constructor({ url, name, user, token, keep = true }) {
    super();
    this.#url = new URL(url ?? '/signal', import.meta.url).href.replace(/^ws/, 'http');
    this.#hello = { type: 'hello', name, user };
    this.#token = token;
    this.#keep = keep;
    if (keep) this.#resumeToken = this.#stored();
  }

  async _open() {
    this.#listen('addEventListener');
    try {
      await this.#dial(this.carrier).catch((error) => {
        if (error?.code !== 'unreachable') throw error;
        return this.#dial(other(this.carrier));
      });
    } catch (error) {
      this.#end(error);
      throw error;
    }
  }

  async join(name, options) {
    const room = this.room(name, options);
    await room.join();
    return room;
  }

  room(name, options) {
    return new Room(this, name, options);
  }

  async call(user, options) {
    return new Call(this, `@${user.replace(/^@/, '')}`)._start(options);
  }

  signal(to, data, room) {
    return this.request({ type: 'signal', to, room, data });
  }

  async ping() {
    if (this.state !== 'open') throw new SignalboxError(this.state === 'closed' ? 'closed' : 'offline');
    const sent = performance.now();
    await this.#pong(ANSWER_MS);
    return performance.now() - sent;
  }

  async refreshIce() {
    await this.request({ type: 'ice' });
    return this.iceServers;
  }

  request(frame) {
    return new Promise((resolve, reject) => this._send(frame, resolve, reject));
  }

  close() {
    for (const group of this.#groups()) group._end();
    if (this.state === 'reconnecting' && this.#resumable) this.#return();
    this.#bye();
    this.#end(new SignalboxError('closed'));
  }

  // Tells whether it has a place in the queue.
  _send(frame, resolve, reject) {
    return this.#queue(JSON.stringify({ ...frame, id: undefined, seq: undefined }), resolve, reject);
  }

  #queue(text, resolve, reject) {
    if (this.state === 'closed') return reject?.(new SignalboxError('closed'));
    if (new TextEncoder().encode(text).length > FRAME_BYTES) return reject?.(new SignalboxError('too-large'));
    if (this.state !== 'open') {
      let characters = text.length;
      for (const entry of this.#unanswered.values()) characters += entry.text.length;
      if (this.#unanswered.size >= QUEUE_FRAMES || characters > QUEUE_CHARACTERS) {
        this.#swallowed = true;
        return reject?.(new SignalboxError('offline'));
      }
    }
    const id = String(++this.#sent);
    const entry = { id, text, sent: false, resolve, reject };
    this.#unanswered.set(id, entry);
    if (this.state === 'open') this.#transmit(entry);
    return true;
  }

  #transmit(entry) {
    entry.sent = true;
    this.#link.send(`{"seq":${entry.id},"id":"${entry.id}",${entry.text.slice(1)}`);
  }

  #dial(carrier) {
    return new Promise((resolve, reject) => {
      let timer;
      const ended = (code) => {
        clearTimeout(timer);
        link?.close();
        if (this.#former === link) this.#former = null;
        if (this.#link !== link) return;
        this.#link = null;
        // Only a close code of ours says that the last error was the reason; a line that broke has none.
        const error = (code >= 4000 && code < 5000 && link?.error) || new SignalboxError('unreachable');
        error.final = code >= 4500 && code < 5000;
        reject(error); // of no effect once there is a session
        if (this.state === 'open') this.#lost(error);
      };
      const open = () => {
        clearTimeout(timer);
        timer = setTimeout(ended, ANSWER_MS);
        if (this.#resumable) link.send(this.#resume());
        else greet();
      };
      const greet = async () => {
        try {
          const token = await (typeof this.#token === 'function' ? this.#token() : this.#token);
          link.send(JSON.stringify({ ...this.#hello, token, replaces: this.#resumeToken }));
        } catch (error) {
          reject(error);
          ended();
        }
      };
      const frame = (received) => {
        const welcome = received.type === 'welcome' || received.type === 'resumed';
        if (welcome) {
          clearTimeout(timer);
          this.#adopt(carrier);
        }
        if (received.code === 'resume-expired' && !received.id) greet();
        else this.#receive(received, link);
        if (welcome) resolve();
      };
      let link = null;
      this.#link = null;
      this.#unwatch = () => clearTimeout(timer);
      timer = setTimeout(ended, OPEN_MS);
      try {
        this.#link = link = new CARRIERS[carrier](this.#url, { open, frame, end: ended, seen: () => this.#seen });
      } catch {
        ended(); // this page may have no such connection at all
      }
    });
  }

  #adopt(carrier) {
    this.#since = performance.now();
    this.#former?.close();
    this.#former = null;
    if (this.carrier === carrier) return;
    this.carrier = carrier;
    this._emit('carrier', { carrier });
  }

  #receive(frame, link) {
    if (link !== this.#link && link !== this.#former) return;
    if (frame.seq) {
      if (frame.seq <= this.#seen) return;
      this.#seen = frame.seq;
    }
    switch (frame.type) {
      case 'welcome':
        return this.#welcome(frame);
      case 'resumed':
        return this.#resumed(frame);
      case 'ack':
        return this.#answered(frame.id);
      case 'error':
        return this.#refused(frame, link);
      case 'pong':
        return this.#pongs.shift()?.();
      case 'ice':
        this.#setIce(frame);
        return this._emit('ice', { iceServers: this.iceServers, iceExpiresAt: this.iceExpiresAt });
      default:
        if (!(frame.room === undefined ? this.#receiveCall(frame) : this.rooms.get(frame.room)?._receive(frame))) this._emit(frame.type, frame);
    }
  }

  #receiveCall(frame) {
    if (frame.type === 'peer-left') {
      for (const call of [...this._calls.values()]) call._left(frame.peer, frame.reason);
      return true;
    }
    const { call, id } = frame.data ?? {};
    if (frame.type !== 'signal' || typeof call !== 'string' || typeof id !== 'string') return false;
    const known = this._calls.get(id);
    if (known) known._receive(frame);
    else if (call === 'ring') this.#rung(frame);
    else if (call === 'peer' || call === 'back' || call === 'accept') this._answer(frame, 'end'); // they need not wait for us
    return true;
  }

  #rung(frame) {
    const calls = [...this._calls.values()];
    if (calls.some((call) => call._crosses(frame))) return;
    if (calls.some(({ from, peer }) => (peer?.id ?? from) === frame.from)) return this._answer(frame, 'decline', 'busy');
    if (!this._heard('call')) return this._answer(frame, 'decline', 'unavailable');
    this._emit('call', { call: new Call(this, frame.from, frame.data.id, frame) });
  }

  _answer({ from, data }, call, reason) {
    this._send({ type: 'signal', to: from, data: { call, id: data.id, reason } });
  }

  // A new session, the first one or after one that could not be resumed. What had been sent may have been carried out or not;
  // what had not is sent now, in the rooms that are joined again before it.
  #welcome(frame) {
    const waiting = [...this.#unanswered.values()];
    this.#unanswered.clear();
    this.#sent = this.#seen = 0;
    this.#swallowed = false; // a new session is in no room yet, and peers offer anew
    this._unleft.clear();
    this.peerId = frame.peerId;
    this.name = frame.name;
    this.user = frame.user;
    this.#resumeToken = frame.resumeToken;
    this.#resumable = frame.resumeSeconds > 0 && Boolean(frame.resumeToken);
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this._probe(ANSWER_MS), (frame.heartbeatSeconds || 25) * 1000);
    this.#setIce(frame);
    this.state = 'open';
    for (const group of this.#groups()) group._rejoin();
    if (this.state === 'closed') return; // by a listener
    for (const { sent, text, resolve, reject } of waiting) {
      if (sent) reject?.(new SignalboxError('lost'));
      else if (resolve) this.#queue(text, resolve, reject); // what peers had to say, they say anew
    }
    this.#setState('open');
  }

  #resumed(frame) {
    this.#setIce(frame);
    for (const entry of this.#unanswered.values()) this.#transmit(entry); // what was taken in already is only answered again
    this.#setState('open'); // only now: what listeners have to say comes after that
    const addressChanged = Boolean(frame.addressChanged);
    this._emit('resumed', { addressChanged });
    if (this.state !== 'open') return; // by a listener
    for (const room of this._unleft) if (!this.rooms.has(room)) this._send({ type: 'leave', room });
    this._unleft.clear();
    for (const peer of this.#peers()) peer._resume(this.#swallowed, addressChanged);
    this.#swallowed = false;
  }

  #refused(frame, link) {
    const error = new SignalboxError(frame.code, frame.message);
    if (frame.id) return this.#answered(frame.id, error);
    link.error = error;
    // One that was given up is told that it was replaced, which is as it should be.
    if (this.state === 'open' && link === this.#link) this._emit('error', { error });
  }

  #answered(id, error) {
    const request = this.#unanswered.get(id);
    if (!request) return;
    this.#unanswered.delete(id);
    if (!error) return request.resolve?.();
    if (request.reject) return request.reject(error);
    // A candidate may cross the news that its receiver has left: nobody needs to know.
    if (error.code !== 'no-such-peer' && error.code !== 'not-in-room') this._emit('error', { error });
  }

  #setIce({ iceServers, iceExpiresAt }) {
    this.iceServers = iceServers;
    this.iceExpiresAt = iceExpiresAt;
    for (const group of this.#groups()) group._configure();
  }

  #setState(state, error) {
    this.state = state;
    this._emit('state', { state, error });
  }

  async #lost(error) {
    this.#pongs = [];
    if (error.final) return this.#end(error);
    this.#setState('reconnecting', error);
    for (let attempt = performance.now() - this.#since > ANSWER_MS ? 0 : this.#attempt; this.state === 'reconnecting'; attempt++) {
      this.#attempt = attempt + 1;
      const jitter = Math.random() * (attempt ? JITTER_MS : FIRST_JITTER_MS);
      let pause;
      await new Promise((resolve) => {
        this.#wake = resolve;
        if (!this.#away) pause = setTimeout(resolve, BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] + jitter);
      });
      clearTimeout(pause);
      if (this.state !== 'reconnecting') return;
      try {
        // The carrier that worked is the likelier one to work again.
        return await this.#dial(attempt % 3 === 2 ? other(this.carrier) : this.carrier);
      } catch (refusal) {
        if (refusal?.final) return this.#end(refusal);
      }
    }
  }

  #end(error) {
    if (this.state === 'closed') return;
    this.#listen('removeEventListener');
    this.#setState('closed', error);
    clearInterval(this.#heartbeat);
    for (const link of [this.#link, this.#former]) link?.close();
    this.#link = this.#former = null;
    this.#unwatch?.();
    this.#wake?.();
    for (const { reject } of this.#unanswered.values()) reject?.(error);
    this.#unanswered.clear();
    for (const group of this.#groups()) group._end(error);
  }

  // The hub need not wait for us to come back, and tells the others at once.
  #bye() {
    if (this.state !== 'open') return;
    this.#link.close(BYE);
    this.#link = null;
    this.#resumable = false;
  }

  // Without a connection to say it on, there is one more attempt to make one.
  #return() {
    const open = () => {
      link.send(this.#resume());
      link.close(BYE);
    };
    let link;
    try {
      link = new CARRIERS[this.carrier](this.#url, { open, frame() {}, end: () => link.close(), seen: () => this.#seen });
    } catch {
      // The hub waits for us in vain.
    }
  }

  #resume() {
    return JSON.stringify({ type: 'resume', token: this.#resumeToken, seq: this.#seen });
  }

  #pong(deadline) {
    this.#link.send('{"type":"ping"}');
    return within(deadline, new Promise((resolve) => this.#pongs.push(resolve)));
  }

  // A TCP connection whose path has gone says nothing; only an answer proves that it lives.
  async _probe(deadline = DOUBT_MS) {
    if (this.state !== 'open') return;
    const link = this.#link;
    try {
      await this.#pong(deadline);
    } catch (error) {
      if (this.state !== 'open' || this.#link !== link) return;
      this.#former?.close();
      this.#former = link;
      this.#link = null;
      this.#lost(error);
    }
  }

  #listen(change) {
    const { document, navigator } = globalThis; // there may be none, as in Node
    globalThis[change]?.('online', this.#online);
    globalThis[change]?.('pageshow', this.#shown);
    globalThis[change]?.('pagehide', this.#hidden);
    document?.[change]('visibilitychange', this.#visible);
    navigator?.connection?.[change]?.('change', this.#networkChanged);
  }

  #doubt = () => {
    if (this.state === 'open') this._probe();
    else this.#wake?.();
  };

  // Most of these events say only that the estimate of its speed has changed.
  #networkChanged = () => {
    const { type } = navigator.connection;
    if (type !== this.#network) this.#online();
    else this.#doubt();
    this.#network = type;
  };

  #online = () => {
    this.#doubt();
    for (const peer of this.#peers()) peer.restartIce();
  };

  #visible = () => {
    if (document.visibilityState === 'visible') this.#doubt();
  };

  #shown = () => {
    if (!this.#away) return;
    this.#away = false;
    if (this.#keep) this.#stored();
    this.#doubt();
  };

  // A page that is loaded again in this tab is the same peer to the others. What is stored only now is not in another tab's copy.
  #hidden = () => {
    if (this.#keep) this.#store();
    this.#away = true;
    const wasOpen = this.state === 'open';
    this.#bye();
    if (wasOpen) this.#lost(new SignalboxError('offline'));
  };

  #store() {
    try {
      if (this.#resumeToken) sessionStorage.setItem(`${PROTOCOL} ${this.#url}`, this.#resumeToken);
    } catch {
      // Then this peer comes back under another id.
    }
  }

  #stored() {
    try {
      const key = `${PROTOCOL} ${this.#url}`;
      const token = sessionStorage.getItem(key);
      sessionStorage.removeItem(key);
      return token ?? undefined;
    } catch {
      return undefined;
    }
  }

  #groups() {
    return [...this.rooms.values(), ...this._calls.values()];
  }

  #peers() {
    return this.#groups().flatMap(({ peers }) => [...peers.values()]);
  }
}

// Those whom we have a connection with: the others in a room, or the other end of a call.
class Group extends Emitter {
  peers = new Map();
  stream;

  #relayOnly;
  #dataChannel;
  #tracks = {};

  constructor(session) {
    super();
    this.session = session;
  }

  _use({ stream, relayOnly = false, dataChannel = true } = {}) {
    this.stream = stream ?? new MediaStream(); // groups our tracks, so that the far side plays them in step
    this.#relayOnly = relayOnly;
    this.#dataChannel = dataChannel;
    for (const track of this.stream.getTracks()) this.#tracks[track.kind] = track;
  }

  async replaceTrack(kind, track) {
    this.#tracks[kind] = track;
    await Promise.all([...this.peers.values()].map((peer) => peer._setTrack(kind, track)));
  }

  send(text) {
    return [...this.peers.values()].filter((peer) => peer.send(text)).length;
  }

  _configure() {
    for (const peer of this.peers.values()) {
      try {
        peer.connection.setConfiguration(this._configuration());
      } catch {
        // The application has closed it.
      }
    }
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

  _add(info) {
    this.#drop(info.id, 'lost');
    if (!this._stands) return null; // a listener has ended it
    const peer = new Peer(this, info);
    this.peers.set(peer.id, peer);
    this._emit('peer', { peer });
    return peer;
  }

  _remove(id, reason) {
    this.#drop(id, reason);
  }

  _end(error) {
    for (const id of [...this.peers.keys()]) this.#drop(id, 'left');
    if (error) this._emit('closed', { error });
  }

  #drop(id, reason) {
    const peer = this.peers.get(id);
    if (!peer) return;
    this.peers.delete(id);
    peer._close();
    this._emit('left', { peer, reason });
  }
}

class Room extends Group {
  capacity = 0;

  #token;
  #joined = false;

  constructor(session, name, options) {
    super(session);
    this._use(options);
    this.name = name;
    this.#token = options?.token;
  }

  async join() {
    const { rooms } = this.session;
    if (rooms.has(this.name) && !this._stands) throw new SignalboxError('joined');
    rooms.set(this.name, this); // before the frame goes out, so that no early signal is lost
    try {
      await this.#enter();
    } catch (error) {
      if (this._stands) this._end(); // the session before may have met peers
      throw error;
    }
  }

  async #enter() {
    this.#joined = false;
    while (!this.#joined) {
      try {
        await this.session.request({ type: 'join', room: this.name, token: this.#token }); // answered after `joined` has come
        this.#joined = true;
      } catch (error) {
        if (error.code !== 'lost') throw error; // else there is a new session: join with that
      }
    }
    if (!this._stands) throw new SignalboxError('closed'); // left meanwhile
  }

  broadcast(data) {
    return this.session.request({ type: 'broadcast', room: this.name, data });
  }

  leave() {
    if (!this._stands) return;
    if (!this.session._send({ type: 'leave', room: this.name })) this.session._unleft.add(this.name);
    this._end();
  }

  _receive(frame) {
    switch (frame.type) {
      case 'joined':
        this.capacity = frame.capacity;
        for (const peer of this.peers.values()) {
          if (!frame.peers.some(({ id }) => id === peer.id)) peer._setPresent(false);
        }
        for (const info of frame.peers) this.#meet(info);
        return true;
      case 'peer-joined':
        this.#meet(frame.peer);
        return true;
      case 'peer-left':
        if (frame.reason === 'lost') this.peers.get(frame.peer.id)?._setPresent(false);
        else this._remove(frame.peer.id, frame.reason);
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

  // A new session keeps its peer id, and so do the others': connections that live go on.
  async _rejoin() {
    if (!this.#joined) return; // the join that is under way goes on by itself
    try {
      await this.#enter();
      this._emit('rejoined');
    } catch (error) {
      if (this._stands) this._end(error);
    }
  }

  // Whether the session is in it, or about to be: any listener may end that.
  get _stands() {
    return this.session.rooms.get(this.name) === this;
  }

  _end(error) {
    this.session.rooms.delete(this.name);
    super._end(error);
  }

  _post(peer, data) {
    this.session._send({ type: 'signal', to: peer.id, room: this.name, data });
  }

  #meet(info) {
    const peer = this.peers.get(info.id);
    if (peer) peer._setPresent(true, info);
    else this._add(info);
  }
}

// A call to or from a named user. Its ends tell each other, in signals, {call, id, ...}: `call` is ring, accept, decline, cancel, end,
// back (in a new session) or peer, which is what peers say in rooms.
class Call extends Group {
  peer = null;

  #id;
  #to;
  #ring = null; // the frame that has announced it, until it is answered here
  #settle = null; // {resolve, reject} until it is answered there
  #timer;

  constructor(session, to, id = randomID(), ring = null) {
    super(session);
    this.#to = to;
    this.#id = id;
    this.#ring = ring;
    this.from = ring?.from;
    this.name = ring?.fromName;
    this.user = ring?.fromUser;
    this.#timer = setTimeout(() => this.#giveUp('unanswered'), RING_MS);
    session._calls.set(id, this);
  }

  accept(options) {
    if (!this.#ring) throw new SignalboxError('canceled');
    this._use(options);
    this.#accept(this.#ring);
    return this;
  }

  decline(reason) {
    if (!this.#ring) return;
    this.#ring = null;
    this.#say('decline', { reason });
    this._end();
  }

  hangup() {
    this.#say('end');
    this._end();
  }

  _start({ signal, ...options } = {}) {
    this._use(options);
    const abort = () => this.#giveUp('canceled');
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      if (signal?.aborted) return this._end(new SignalboxError('canceled'));
      signal?.addEventListener('abort', abort);
      this.#request('ring', this.#to).then(() => this._stands || this.#say('cancel'), (error) => this.#settle && this._end(error));
    }).finally(() => signal?.removeEventListener('abort', abort));
  }

  // Two who call each other at once have one call: that of the impolite end.
  _crosses(frame) {
    if (!this.#settle || this.#to !== `@${frame.fromUser}`) return false;
    if (!frame.polite) return true;
    this.session._calls.delete(this.#id);
    this.session._calls.set(this.#id = frame.data.id, this);
    this.#accept(frame);
    return true;
  }

  _receive(frame) {
    const { call, reason } = frame.data;
    if (this.#settle) {
      if (call === 'accept') this.#begin(frame);
      if (call === 'decline') this._end(Object.assign(new SignalboxError('declined'), { reason: String(reason ?? '').slice(0, REASON) }));
    } else if (frame.from === this.#to) {
      if (call === 'cancel' || call === 'end') this.#over('left');
      if (call === 'back') this.peer?._setPresent(true, { polite: frame.polite });
      if (call === 'peer') this.peer?._signal(frame.data, frame.polite);
    }
  }

  _left({ id, user }, reason) {
    if (this.#settle) {
      if (this.#to === `@${user}`) this._end(new SignalboxError('unanswered'));
    } else if (id === this.#to) {
      if (this.peer && reason === 'lost') this.peer._setPresent(false);
      else this.#over(reason);
    }
  }

  // The hub has forgotten who called whom. The first end to be back doesn't reach the other; the second one does.
  // One without a user name can't be called, so the end that can call goes on trying.
  _rejoin(tries = BACK_TRIES) {
    const { peer } = this;
    if (!peer) return this._end(new SignalboxError('lost'));
    if (tries === BACK_TRIES) peer._setPresent(false);
    this.#request('back', peer.user ? `@${peer.user}` : peer.id).then(() => peer._setPresent(true), () => {
      clearTimeout(this.#timer);
      if (peer.user && tries > 1) this.#timer = setTimeout(() => peer.present || !this._stands || this._rejoin(tries - 1), BACK_MS);
    });
  }

  get _stands() {
    return this.session._calls.has(this.#id);
  }

  _add(info) {
    const peer = super._add(info);
    if (peer) this.peer = peer;
    return peer;
  }

  _remove(id, reason) {
    this.#over(reason);
  }

  _end(error) {
    this.session._calls.delete(this.#id);
    clearTimeout(this.#timer);
    if (this.#ring) this._emit('canceled');
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

  #giveUp(code) {
    if (this.#settle) this.#say('cancel');
    if (this.#settle || this.#ring) this._end(new SignalboxError(code));
  }

  #over(reason) {
    if (this.peer) super._remove(this.peer.id, reason);
    this._end();
    if (this.peer) this._emit('closed');
  }

  #say(call, data) {
    this.session._send({ type: 'signal', to: this.#to, data: { ...data, call, id: this.#id } });
  }

  #request(call, to) {
    return this.session.signal(to, { call, id: this.#id });
  }
}

// One peer connection, negotiated as in the "Perfect Negotiation Example" of webrtc-pc: the server has said who is polite.
//
// Either end may lose its connection without the other's hearing of it, as a page that is loaded anew while the box restarts. What is
// said therefore bears the tags of both connections, as far as they are known: `tag` of the speaker's, `for` the other one.
class Peer extends Emitter {
  stream = new MediaStream();
  state = 'connecting';
  present = true;
  channel = null;

  #polite;
  #tag = randomID();
  #farTag;
  #senders = {};
  #attached = false;
  #makingOffer = false;
  #isSettingRemoteAnswerPending = false;
  #opening;
  #disconnected;
  #leaving;
  #watching;
  #restarts = []; // when, in the last minute
  #restarting;
  #restartWanted = false;
  #asking;
  #received = 0; // bytes of media
  #flowing = false;
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

  async path() {
    const own = selectedPath(await this.connection.getStats());
    return own && this.#joinPaths(own);
  }

  send(text) {
    if (this.channel?.readyState !== 'open') return false;
    try {
      this.channel.send(text);
      return true;
    } catch {
      return false; // it is too long for the far end, or too much waits for it
    }
  }

  async restartIce() {
    const { session } = this.room;
    this.#restartWanted = !this.present || session.state !== 'open';
    if (this.#restartWanted || this.state === 'closed') return;
    clearTimeout(this.#restarting);
    const now = performance.now();
    this.#restarts = this.#restarts.filter((at) => now - at < MINUTE_MS);
    const next = Math.max(
      (this.#restarts.at(-1) ?? -Infinity) + RESTART_GAP_MS,
      this.#restarts.length < RESTARTS ? 0 : this.#restarts[0] + MINUTE_MS,
    );
    if (next > now) {
      this.#restarting = setTimeout(() => this.#connected || this.restartIce(), next - now);
      return;
    }
    this.#restarts.push(now);
    if (session.iceExpiresAt && session.iceExpiresAt < Date.now()) await session.refreshIce().catch(() => {});
    if (this.state === 'closed') return;
    if (!this.#polite) return this.connection.restartIce();
    // Both ends notice when a path has gone. Were both to offer, the polite end would roll back, after which Chromium shows no more
    // pictures of the far end's. It therefore asks for an offer, and makes one itself only if none comes.
    this.#send({ restart: true });
    this.#asking = setTimeout(() => this.connection.restartIce(), OPENING_MS);
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
    // What was said meanwhile may have reached nobody.
    if (this.connection.signalingState === 'have-local-offer') this.#send({ description: this.connection.localDescription });
    // A box that was restarted has forgotten what it relayed.
    const relayed = [this.#told, this.#farPath].some((path) => path?.kind === 'relay');
    if (this.#restartWanted || relayed || !this.#connected) this.restartIce();
  }

  _resume(swallowed, addressChanged) {
    const { signalingState, localDescription } = this.connection;
    if (swallowed && signalingState === 'have-local-offer') this.#send({ description: localDescription });
    if (addressChanged || this.#restartWanted) this.restartIce();
  }

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
    else if (path) this.#farPath = PROTOCOLS.includes(path.protocol) ? path : null;
    else this.#negotiate(description, candidate);
    return true;
  }

  _close() {
    for (const timer of [this.#opening, this.#disconnected, this.#leaving, this.#restarting, this.#asking, this.#watching]) clearTimeout(timer);
    this.connection.close(); // fires no event, by specification
    this.state = 'closed';
  }

  get #connected() {
    return this.connection.connectionState === 'connected';
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

  async #negotiate(description, candidate) {
    const pc = this.connection;
    if (!description) {
      // One that doesn't fit belongs to a description that was ignored or lost.
      return pc.addIceCandidate(candidate ?? undefined).catch(() => {});
    }
    try {
      const offered = description.type === 'offer';
      const readyForOffer = !this.#makingOffer && (pc.signalingState === 'stable' || this.#isSettingRemoteAnswerPending);
      if (offered ? !this.#polite && !readyForOffer : pc.signalingState !== 'have-local-offer' || this.#isSettingRemoteAnswerPending) {
        return; // a collision, or said twice
      }
      clearTimeout(this.#asking);
      this.#attach(); // before the offer is applied, so that our tracks take the places that it opens
      this.#isSettingRemoteAnswerPending = !offered;
      await pc.setRemoteDescription(description) // rolls our own offer back if need be
        .finally(() => { this.#isSettingRemoteAnswerPending = false; });
      if (!offered) return;
      await pc.setLocalDescription();
      this.#send({ description: pc.localDescription });
    } catch (error) {
      this.#failed(error);
    }
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
    if (this.#connected && !this.#watching) {
      this.#watch();
      const ice = this.connection.getSenders()[0]?.transport?.iceTransport;
      if (ice) ice.onselectedcandidatepairchange = () => this.#refresh();
      this.#watching = setInterval(() => this.#watch(), WATCH_MS);
    }
    const broken = connectionState === 'failed' || connectionState === 'disconnected';
    this.state = broken ? 'reconnecting' : this.#connected ? 'connected' : this.state;
    this._emit('state', { state: this.state });
    this.#expire();
  }

  // What was lost while there was no path is not sent again. Without a new key frame, the far end would look for it for three seconds.
  #refresh() {
    for (const sender of this.connection.getSenders()) {
      if (sender.track?.kind !== 'video') continue;
      const parameters = sender.getParameters();
      const encodingOptions = parameters.encodings.map(() => ({ keyFrame: true })); // where a browser doesn't know it, it is ignored
      sender.setParameters(parameters, { encodingOptions }).catch(() => {});
    }
  }

  #expire() {
    clearTimeout(this.#leaving);
    if (this.present || this.#connected || this.state === 'closed') return; // a listener may have hung up
    const grace = this.connection.connectionState === 'disconnected' ? GONE_MS : 0;
    this.#leaving = setTimeout(() => this.room._remove(this.id, 'lost'), grace);
  }

  async #watch() {
    const stats = await this.connection.getStats().catch(() => null); // it may have been closed meanwhile
    if (!stats || this.state === 'closed') return;
    this.#watchMedia(stats);
    const own = selectedPath(stats);
    if (!own) return;
    const { kind, protocol } = own;
    if (kind !== this.#told?.kind || protocol !== this.#told?.protocol) {
      this.#told = { kind, protocol };
      this.#send({ path: this.#told });
    }
    this._emit('path', { path: this.#joinPaths(own) });
  }

  // ICE takes its time to notice that a path is dead; media that came and now comes no more says it earlier. An end that has stopped
  // sending looks the same: that costs a look for a path, and only one.
  async #watchMedia(stats) {
    let received = 0;
    for (const { type, bytesReceived = 0 } of stats.values()) received += type === 'inbound-rtp' ? bytesReceived : 0;
    const flowing = received !== this.#received;
    const expected = this.connection.getReceivers().some(({ track }) => track.readyState === 'live' && !track.muted);
    const stalled = this.#flowing && !flowing && expected;
    this.#received = received;
    this.#flowing = flowing;
    if (!stalled || !this.#connected) return;
    await this.room.session._probe();
    this.restartIce();
  }

  // Statistics name the transport to a relay only at the end that uses it. Both ends therefore tell each other theirs.
  #joinPaths({ kind, protocol, rtt, farRelay }) {
    if (kind === 'direct' && this.#farPath?.kind === 'relay') return { kind: 'relay', protocol: this.#farPath.protocol, rtt };
    return { kind: farRelay ? 'relay' : kind, protocol, rtt };
  }
}

// The transport between this browser and the relay decides how a call is relayed, and only `relayProtocol` tells it: the
// candidate's own protocol is that of the relayed leg, and its type may be prflx.
function selectedPath(stats) {
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

function randomID() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join('');
}
