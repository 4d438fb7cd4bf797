// What the SDK asks of a browser and Node doesn't have: enough of it for sessions. Peer connections
// need the real thing.
import { after } from 'node:test';

// WEBSOCKET is empty where Node has one.
if (process.env.WEBSOCKET) {
  const { default: Socket } = await import(process.env.WEBSOCKET);
  globalThis.WebSocket = class extends Socket {
    constructor(...args) {
      super(...args);
      this.on('error', () => {}); // one that nobody listens to ends no browser, but would end Node
    }
  };
}

// A session that is left open would keep Node from ending, and nobody would learn why.
after(() => {
  setTimeout(() => {
    console.error('the tests are over, but something is still open');
    process.exit(1);
  }, 5000).unref();
});

globalThis.crypto ??= (await import('node:crypto')).webcrypto; // Node 18
// Without it there are no rooms and calls; none gets as far as a connection.
globalThis.RTCPeerConnection ??= class { close() {} };
globalThis.MediaStream ??= class { getTracks() { return []; } };

const events = new EventTarget();
globalThis.addEventListener = events.addEventListener.bind(events);
globalThis.removeEventListener = events.removeEventListener.bind(events);

/** What happens to the window. */
export function fire(type, properties = {}) {
  events.dispatchEvent(Object.assign(new Event(type), properties));
}

// Items are properties, as they are in browsers.
globalThis.sessionStorage = new class {
  getItem(key) {
    return this[key] ?? null;
  }

  setItem(key, value) {
    this[key] = value;
  }

  removeItem(key) {
    delete this[key];
  }
}();

/** Event sources that are not closed. */
export const streams = new Set();

globalThis.EventSource = class extends EventTarget {
  #abort = new AbortController();

  constructor(url) {
    super();
    streams.add(this);
    this.#read(url);
  }

  async #read(url) {
    try {
      const response = await fetch(url, { signal: this.#abort.signal });
      if (!response.ok) throw new Error(response.statusText);
      this.dispatchEvent(new Event('open'));
      let text = '';
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + chunk).split('\n\n');
        text = blocks.pop();
        for (const block of blocks) this.#dispatch(block);
      }
    } catch {
      // The line broke, or there was none.
    }
    if (!this.#abort.signal.aborted) this.onerror?.();
  }

  #dispatch(block) {
    const fields = block.split('\n').map((line) => line.split(/: ?(.*)/s));
    const data = fields.filter(([name]) => name === 'data').map(([, value]) => value).join('\n');
    if (!data || this.#abort.signal.aborted) return;
    const event = new MessageEvent(fields.find(([name]) => name === 'event')?.[1] ?? 'message', { data });
    this.dispatchEvent(event);
    if (event.type === 'message') this.onmessage?.(event);
  }

  close() {
    streams.delete(this);
    this.#abort.abort();
  }
};

/** Resolves with the next event of that type which is acceptable. */
export const once = (emitter, type, accept = () => true) => new Promise((resolve) => {
  const end = emitter.on(type, (detail) => {
    if (!accept(detail)) return;
    end();
    resolve(detail);
  });
});
