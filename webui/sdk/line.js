// The line to the hub: one connection after another, over the carrier that gets through. A new one
// resumes the session, or, where the hub knows it no longer, begins another with the same peer id.
import { ANSWER_MS, CARRIERS, opensWebSocket } from './carriers.js';
import { Emitter } from './emitter.js';
import { SignalboxError } from './errors.js';
import { keepToken, storeTokens, takeToken } from './keep.js';
import { watchPage } from './page.js';
import { reasonOf } from './reason.js';

const OPEN_MS = 4000; // how long a carrier may take to open
const DOUBT_MS = 3000; // how long a pong may take, when there is reason to believe that the path has gone
const BACKOFF_MS = [0, 300, 1200, 2700, 4800, 7000];
const JITTER_MS = 1000; // so that the clients of a restarted box don't come back in one wave
const FIRST_JITTER_MS = 200;
// Over server-sent events, when to look whether WebSockets get through, after those that don't.
const LOOK_BACK_MS = [60_000, 5 * 60_000, 15 * 60_000];
const RETRIES = 2; // of the first connection
const BYE = '{"type":"bye"}';
const PING = '{"type":"ping"}';

// A subclass gets the hub's frames, except for pongs, by `_receive(frame, link)`, and a change of
// the network by `_online()`.
export class Line extends Emitter {
  state = 'connecting';
  carrier = 'websocket';

  #url;
  #hello;
  #token; // admission: text, or a function that gives it
  #keep;
  #retries;
  #resumeToken;
  #resumable = false; // otherwise the token is only good for keeping the peer id
  #link = null; // the carrier in use
  #former = null; // one that was given up; frames that it has confirmed may still be on their way
  #seen = 0; // seq of the last frame of the hub's
  #pongs = [];
  #heartbeat;
  #attempt = 0; // where the next back-off begins, if a connection was short
  #since = 0;
  #wake = null; // ends the current back-off at once
  #stopClock = null; // of the connection that is being made
  #lookBack; // for WebSockets
  #unwatch;
  #away = false; // the page is hidden for good, or in the back/forward cache

  constructor({ url, name, user, token, keep = true, retries = RETRIES }) {
    super();
    this.#url = new URL(url ?? '/signal', import.meta.url).href.replace(/^ws/, 'http');
    this.#hello = { type: 'hello', name, user };
    this.#token = token;
    this.#keep = keep;
    this.#retries = retries;
    if (keep) this.#resumeToken = takeToken(this.#url);
  }

  async _open() {
    this.#unwatch = watchPage({
      doubt: () => this.#doubt(),
      online: () => {
        this.#doubt();
        this.#seekWebSocket();
        this._online();
      },
      shown: () => this.#shown(),
      hidden: () => this.#hidden(),
    });
    await this.#connect().catch((error) => {
      this._end(error);
      throw error;
    });
  }

  // What may heal is tried again: a box that restarts, a proxy before it, a line that broke.
  async #connect(attempt = 0) {
    const error = await this.#dialEither('websocket').catch((last) => this.#explain(last));
    if (!error) return;
    if (attempt >= this.#retries || !/unreachable|no-hub/.test(error.code)) throw error;
    await this.#pause(attempt + 1);
    if (this.state !== 'closed') await this.#connect(attempt + 1);
  }

  #dialEither(carrier) {
    return this.#dial(carrier).catch((error) => {
      if (!/unreachable|too-many-tabs/.test(error?.code)) throw error;
      return this.#dial(otherThan(carrier));
    });
  }

  async #explain(error) {
    if (error?.code !== 'unreachable') throw error;
    return new SignalboxError(await within(OPEN_MS, reasonOf(this.#url, OPEN_MS)).catch(() => 'unreachable'));
  }

  // Between two connections nothing is lost by it: what is not answered is said again.
  _transmit(text) {
    this.#live?.send(text);
  }

  // The connection that carries the session: one that is being made to take its place does not yet.
  get #live() {
    return this.#link?.carriesSession ? this.#link : null;
  }

  _isCurrent(link) {
    return link === this.#link;
  }

  _setState(state, error) {
    this.state = state;
    this._emit('state', { state, error });
  }

  _ping(deadline = ANSWER_MS) {
    this._transmit(PING);
    return within(deadline, new Promise((resolve) => this.#pongs.push(resolve)));
  }

  // A TCP connection whose path has gone says nothing; only an answer proves that it lives.
  async _probe(deadline = DOUBT_MS) {
    const link = this.#live;
    if (this.state !== 'open' || !link) return;
    try {
      await this._ping(deadline);
    } catch (error) {
      if (this.state !== 'open' || this.#link !== link) return;
      this.#former?.close();
      this.#former = link;
      this.#link = null;
      this.#lost(error);
    }
  }

  // Says goodbye. Without a connection to say it on, there is one more attempt to make one. If
  // there is no session yet, the next one of this page may be what this one was to be.
  _bye() {
    if (this.state === 'connecting') {
      this.#link?.close(BYE);
      if (this.#keep) keepToken(this.#url, this.#resumeToken);
    }
    if (this.state === 'reconnecting' && this.#resumable) this.#returnToLeave();
    this.#leave();
  }

  _end(error) {
    if (this.state === 'closed') return;
    this.#unwatch();
    this._setState('closed', error);
    clearInterval(this.#heartbeat);
    clearTimeout(this.#lookBack);
    for (const link of [this.#link, this.#former]) link?.close();
    this.#link = this.#former = null;
    this.#stopClock?.();
    this.#wake?.();
  }

  #dial(carrier) {
    return new Promise((resolve, reject) => {
      let timer;
      const ended = (code, reason) => {
        clearTimeout(timer);
        link?.close();
        if (reason) this.#former?.close(); // which may have the place that this one has not found
        if (this.#former === link) this.#former = null;
        if (this.#link !== link) return;
        this.#link = null;
        // Only a close code of ours says that the last error was the reason; a line that broke has
        // none.
        const error = reason || (code >= 4000 && code < 5000 && link?.error) || new SignalboxError('unreachable');
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
          if (this.#link === link) link.send(JSON.stringify({ ...this.#hello, token, replaces: this.#resumeToken }));
        } catch (error) {
          reject(error);
          ended();
        }
      };
      const frame = (received) => {
        const welcome = received.type === 'welcome' || received.type === 'resumed';
        if (welcome) {
          clearTimeout(timer);
          this.#adopt(link, carrier);
        }
        if (received.code === 'resume-expired' && !received.id) greet();
        else this.#take(received, link);
        if (welcome) resolve();
      };
      let link = null;
      this.#link = null;
      this.#stopClock = () => clearTimeout(timer);
      timer = setTimeout(ended, OPEN_MS);
      try {
        this.#link = link = new CARRIERS[carrier](this.#url, { open, frame, end: ended, seen: () => this.#seen });
      } catch {
        ended(); // this page may have no such connection at all
      }
    });
  }

  #adopt(link, carrier) {
    link.carriesSession = true;
    for (const _ of this.#pongs) link.send(PING); // the connection before may have taken the answers with it
    this.#since = performance.now();
    this.#former?.close();
    this.#former = null;
    clearTimeout(this.#lookBack);
    if (carrier === 'websocket' || this.state === 'connecting') this.#use(carrier);
    if (carrier === 'sse') this.#lookBack = setTimeout(() => this.#seekWebSocket());
  }

  #use(carrier) {
    if (this.carrier === carrier) return;
    this.carrier = carrier;
    this._emit('carrier', { carrier });
  }

  // Whatever it was that kept the WebSocket from opening, a box that was away, say: only one that
  // does not open while server-sent events come says that the network lets none through. And even
  // that may change.
  async #seekWebSocket(tries = 0) {
    const link = this.#link;
    if (!(link instanceof CARRIERS.sse)) return;
    const opens = await opensWebSocket(this.#url, OPEN_MS);
    if (this.#link !== link || this.state !== 'open') return;
    if (opens) {
      this.#former = link;
      return this.#dial('websocket').catch(() => {}); // what is lost is noticed as ever
    }
    this.#use('sse');
    clearTimeout(this.#lookBack);
    const pause = LOOK_BACK_MS[Math.min(tries, LOOK_BACK_MS.length - 1)];
    this.#lookBack = setTimeout(() => this.#seekWebSocket(tries + 1), pause);
  }

  #take(frame, link) {
    if (link !== this.#link && link !== this.#former) return;
    if (frame.seq) {
      if (frame.seq <= this.#seen) return;
      this.#seen = frame.seq;
    }
    if (frame.resumeToken) this.#resumeToken = frame.resumeToken;
    if (frame.type === 'token') return;
    if (frame.type === 'pong') return this.#pongs.shift()?.();
    if (frame.type === 'welcome') this.#begin(frame);
    this._receive(frame, link);
  }

  #begin({ resumeToken, resumeSeconds, heartbeatSeconds }) {
    this.#seen = 0;
    this.#resumable = resumeSeconds > 0 && Boolean(resumeToken);
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this._probe(ANSWER_MS), (heartbeatSeconds || 25) * 1000);
  }

  #resume() {
    return JSON.stringify({ type: 'resume', token: this.#resumeToken, seq: this.#seen });
  }

  async #lost(error) {
    this.#pongs = [];
    if (error.final) return this._end(error);
    this._setState('reconnecting', error);
    if (performance.now() - this.#since > ANSWER_MS) this.#attempt = 0;
    while (this.state === 'reconnecting') {
      const attempt = this.#attempt++;
      await this.#pause(attempt);
      if (this.state !== 'reconnecting') return;
      try {
        // The carrier that worked is the likelier one to work again.
        return await (attempt % 3 < 2 ? this.#dial(this.carrier) : this.#dialEither(otherThan(this.carrier)));
      } catch (refusal) {
        if (refusal?.final) return this._end(refusal);
      }
    }
  }

  // A page that is away stays so until it is woken.
  async #pause(attempt) {
    const jitter = Math.random() * (attempt ? JITTER_MS : FIRST_JITTER_MS);
    let pause;
    await new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#away) return;
      pause = setTimeout(resolve, BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] + jitter);
    });
    clearTimeout(pause);
  }

  // The hub need not wait for us to come back, and tells the others at once.
  #leave() {
    if (this.state !== 'open') return;
    const last = this.#live ?? this.#former;
    last?.close(BYE);
    if (this.#link !== last) this.#link?.close();
    this.#link = null;
    this.#resumable = false;
  }

  #returnToLeave() {
    const open = () => {
      link.send(this.#resume());
      link.close(BYE);
    };
    let link;
    try {
      const ends = { open, frame() {}, end: () => link.close(), seen: () => this.#seen };
      link = new CARRIERS[this.carrier](this.#url, ends);
    } catch {
      // The hub waits for us in vain.
    }
  }

  #doubt() {
    if (this.state === 'open') this._probe();
    else this.#wake?.();
  }

  #shown() {
    if (!this.#away) return;
    this.#away = false;
    if (this.#keep) takeToken(this.#url);
    this.#doubt();
  }

  // A page that is loaded again in this tab is the same peer to the others. What is stored only now
  // is not in another tab's copy.
  #hidden() {
    if (this.#keep) keepToken(this.#url, this.#resumeToken);
    storeTokens();
    this.#away = true;
    const wasOpen = this.state === 'open';
    this.#leave();
    if (wasOpen) this.#lost(new SignalboxError('offline'));
  }
}

function otherThan(carrier) {
  return carrier === 'sse' ? 'websocket' : 'sse';
}

function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new SignalboxError('timeout')), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
