// A box that takes what the SDK asks and never answers: each question ends, as browsers have few
// connections to a host.
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { CARRIERS } from '../sdk/carriers.js';
import { reasonOf } from '../sdk/reason.js';

const URL = 'https://box.example/signal';
let open; // questions that have no answer
let asked; // and how many there have been
let places; // whether the browser has one for a stream
let source;
const timeout = AbortSignal.timeout;
AbortSignal.timeout = (ms) => timeout(Math.min(ms, 50));
const awake = setInterval(() => {}, 1000); // Node waits for no deadline
after(() => clearInterval(awake));
globalThis.fetch = (url, { signal } = {}) => new Promise((resolve, reject) => {
  if (signal?.aborted) return reject(signal.reason);
  open++;
  asked++;
  signal?.addEventListener('abort', () => {
    open--;
    reject(signal.reason);
  });
});
globalThis.EventSource = class extends EventTarget {
  constructor() {
    super();
    source = this;
  }

  close() {
    this.closed = true;
  }
};
const locks = { request: async (name, options, hold) => hold(places ? {} : null) };
Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
const events = () => new CARRIERS.sse(URL, { open() {}, frame() {}, end() {}, seen: () => 0 });
const until = async (look) => {
  while (!look()) await new Promise((resolve) => { setTimeout(resolve, 5); });
};

beforeEach(() => {
  open = asked = 0;
  places = true;
  source = null;
});

test('why a hub can’t be reached is asked for a while', { timeout: 30_000 }, async () => {
  assert.equal(await reasonOf(URL, 4000), 'unreachable');
  assert.equal(open, 0);
});

test('a carrier that is given up asks for no place', { timeout: 10_000 }, async () => {
  places = false;
  const carrier = events();
  await until(() => open);
  carrier.close();
  await until(() => !open);
});

test('a farewell that nobody takes is said twice, and holds no stream then', { timeout: 10_000 }, async () => {
  const carrier = events();
  await until(() => source);
  source.dispatchEvent(Object.assign(new Event('open'), { data: '{"key":"k"}' }));
  carrier.close('{"type":"bye"}');
  assert.equal(open, 1);
  await until(() => source.closed);
  assert.equal(open, 0);
  assert.equal(asked, 2);
});
