// What /call says of devices, in one line: for a while, or while it lasts.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Emitter } from '../sdk/emitter.js';
import { open } from './page.mjs';

globalThis.matchMedia = () => ({ addEventListener() {} });
open('call');
const { Trouble } = await import('../static/js/call/trouble.js');

const WHILE = 15_000; // ms

function page(t) {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const media = new Emitter();
  const trouble = new Trouble(media, () => false);
  trouble.hide();
  const unplugged = { kind: 'microphone', code: 'ended', words: () => 'The microphone is gone.' };
  return { media, trouble, unplugged, shown: () => (byId('trouble').hidden ? '' : byId('trouble-text').textContent) };
}

const byId = (id) => document.getElementById(id);

test('a camera that gives nothing is said as long as it is so', (t) => {
  const { trouble, shown } = page(t);
  trouble.setFrozen(true);
  mock.timers.tick(10 * WHILE);
  assert.match(shown(), /no moving picture of you/);
  trouble.setFrozen(false);
  assert.equal(shown(), '');
});

test('what is said of another device stays for its while, and no longer', (t) => {
  const { media, trouble, unplugged, shown } = page(t);
  media._emit('error', { error: unplugged });
  trouble.setFrozen(true);
  assert.match(shown(), /microphone is gone/);
  mock.timers.tick(WHILE);
  assert.match(shown(), /no moving picture of you/);
  media._emit('error', { error: unplugged });
  assert.match(shown(), /microphone is gone/);
  trouble.setFrozen(false);
  assert.match(shown(), /microphone is gone/);
  mock.timers.tick(WHILE);
  assert.equal(shown(), '');
});

test('another camera may do better, another microphone says nothing of it', (t) => {
  const { media, trouble, shown } = page(t);
  trouble.setFrozen(true);
  media._emit('track', { kind: 'microphone', track: {}, reason: 'chosen' });
  assert.match(shown(), /no moving picture of you/);
  media._emit('track', { kind: 'camera', track: {}, reason: 'chosen' });
  assert.equal(shown(), '');
});
