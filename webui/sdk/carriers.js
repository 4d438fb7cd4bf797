// The carriers. Each is one connection to the hub: it takes frames as text, and reports that it is
// open, each frame that comes, and that it has ended, with the close code if there was one, or with
// an error.
import { SignalboxError } from './errors.js';

export const PROTOCOL = 'signalbox.v1';
export const ANSWER_MS = 10_000; // how long a welcome, a pong or the answer to a farewell may take

// What one POST may hold, and a farewell. The characters are at most 192 KiB in UTF-8; the hub
// takes 256.
const POST_FRAMES = 63;
const POST_CHARACTERS = 64 * 1024;
const LAST_WORD_MS = 500;

// Over HTTP/1.1, the browser has six connections to a host, for all tabs. If streams took them all,
// nobody could say a word.
const STREAMS = 4;

// After so many characters, and 1024 for each frame, the hub is told to forget what has come.
const UNCONFIRMED = 256 * 1024;

class WebSocketCarrier {
  #socket;

  constructor(url, { open, frame, end }) {
    this.#socket = new WebSocket(url.replace(/^http/, 'ws'), PROTOCOL);
    this.#socket.onopen = open;
    this.#socket.onmessage = ({ data }) => frame(JSON.parse(data));
    // A connection that failed has no code.
    this.#socket.onclose = this.#socket.onerror = ({ code }) => end(code);
  }

  // To one that is closing nothing can be said; browsers complain of each attempt.
  send(text) {
    if (!(this.#socket.readyState > 1)) this.#socket.send(text); // an application's own may have no state
  }

  // A dead connection may take minutes to report its end, so closing it removes its listeners.
  close(farewell) {
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    if (farewell && socket.readyState === 1) socket.send(farewell);
    socket.close(3000); // 1000 would end the session
  }
}

// Server-sent events down, POSTs up: for networks and proxies that no WebSocket gets through.
class EventsCarrier {
  #url;
  #source;
  #leavePlace;
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
    this.#open(open, frame).catch(() => this.#end()); // this page may have no such connection at all
  }

  async #open(open, frame) {
    this.#leavePlace = await takePlace(this.#url, this.#abort.signal);
    if (this.#abort.signal.aborted) return this.#leavePlace?.();
    if (!this.#leavePlace) return this.#end(undefined, new SignalboxError('too-many-tabs'));
    this.#source = new EventSource(`${this.#url}/events`);
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
    // Left alone, it would connect again without resuming.
    this.#source.onerror = () => this.#end();
  }

  send(text) {
    this.#waiting.push(text);
    this.#post();
  }

  close(farewell) {
    this.#end = () => {};
    const last = this.#take();
    this.#waiting = [];
    if (!farewell || !this.#key) {
      this.#abort.abort(); // a POST that gets stuck would hold one of the browser's few connections
      return this.#shut();
    }
    this.#source.onmessage = null;
    // Left alone, it would connect again, for a session that nobody has.
    this.#source.onerror = () => this.#shut();
    const say = (frames) => {
      const signal = AbortSignal.timeout?.(ANSWER_MS);
      return fetch(`${this.#url}/send`, { ...this.#request(frames), keepalive: true, signal });
    };
    // Browsers let no more than 64 KiB outlive the page. The key is good as long as the stream is.
    say([...last, farewell]).catch(() => say([farewell])).catch(() => {}).finally(() => this.#shut());
  }

  #shut() {
    this.#source?.close();
    this.#leavePlace?.();
  }

  // One POST at a time keeps the order; what comes meanwhile goes with the next one.
  async #post() {
    if (this.#posting) return;
    this.#posting = true;
    await null; // what is said in one go, goes in one
    do {
      const request = { ...this.#request(this.#take()), signal: this.#abort.signal };
      const response = await fetch(`${this.#url}/send`, request).catch(() => null);
      // The stream may be about to say why.
      if (!response?.ok) return setTimeout(() => this.#end(), LAST_WORD_MS);
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
    const body = `{"key":${JSON.stringify(this.#key)},"received":${this.#seen()},"frames":[${frames}]}`;
    return { method: 'POST', body };
  }
}

// Resolves to a function that leaves the place, or to null if there is none. Where tabs can't
// agree, for want of https, each takes what it gets.
async function takePlace(url, signal) {
  const { origin } = new URL(url);
  const { locks } = globalThis.navigator ?? {};
  const free = () => {};
  if (!locks) return free;
  for (let n = 0; n < STREAMS; n++) {
    const leave = await new Promise((taken) => {
      const hold = (lock) => (lock ? new Promise(taken) : taken(null));
      locks.request(`${PROTOCOL} ${origin} ${n}`, { ifAvailable: true }, hold).catch(() => taken(free));
    });
    if (leave) return leave;
  }
  // Over HTTP/2 there are places enough. An answer of the hub tells whether it is that.
  await fetch(`${url}/send`, { method: 'POST', signal }).then((response) => response.text()).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve));
  const isMultiplexed = ({ name, nextHopProtocol }) => /^h[23]/.test(nextHopProtocol) && name.startsWith(`${origin}/`);
  return performance.getEntries().some(isMultiplexed) ? free : null;
}

export const CARRIERS = { websocket: WebSocketCarrier, sse: EventsCarrier };

// Resolves to whether a WebSocket opens in that time; it says nothing.
export async function opensWebSocket(url, ms) {
  let carrier;
  const opens = await new Promise((resolve) => {
    setTimeout(resolve, ms, false);
    carrier = new WebSocketCarrier(url, { open: () => resolve(true), frame() {}, end: () => resolve(false) });
  }).catch(() => false); // this page may have no such connection at all
  carrier?.close();
  return opens;
}
