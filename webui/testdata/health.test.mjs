// The line of the start page about the box: it is the latest answer's, and comes within a time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from './page.mjs';

const asked = []; // requests, as {answer, signal}
globalThis.fetch = (_, { signal }) => new Promise((resolve, reject) => {
  const answer = (ready) => resolve(new Response(JSON.stringify({ ready })));
  asked.push({ answer, signal });
  signal?.addEventListener('abort', () => reject(signal.reason));
});
open('home');
const { tellHealth } = await import('../static/js/health.js');
const said = () => document.getElementById('health').textContent;

test('an older answer does not take the place of a newer one', async () => {
  const [older, newer] = [tellHealth(), tellHealth()];
  asked[1].answer(false);
  await newer;
  assert.match(said(), /shutting down/);
  asked[0].answer(true);
  await older;
  assert.match(said(), /shutting down/);
});

test('a box that does not answer is said to be away', async (t) => {
  const timeouts = [];
  t.mock.method(AbortSignal, 'timeout', (ms) => {
    timeouts.push(ms);
    return AbortSignal.abort(new DOMException('', 'TimeoutError'));
  });
  globalThis.fetch = async (_, { signal }) => signal.throwIfAborted();
  await tellHealth();
  assert.match(said(), /doesn’t answer/);
  assert.deepEqual(timeouts, [5000]);
});

test('a browser that knows no such time waits for the answer', async (t) => {
  const { timeout } = AbortSignal;
  AbortSignal.timeout = undefined;
  t.after(() => { AbortSignal.timeout = timeout; });
  globalThis.fetch = async () => new Response(JSON.stringify({ ready: true }));
  await tellHealth();
  assert.match(said(), /ms/);
});
