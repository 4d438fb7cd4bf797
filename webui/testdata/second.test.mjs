// /check with a second device, between the page's own logic, the SDK and a hub that ends it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import './reader.mjs';
import { joined, startHub } from './stub.mjs';
import { connect } from '../joined/signalbox.js';
import { Second } from '../static/js/check/second.js';

const DEADLINE = { timeout: 20_000 };

async function open(t, parts) {
  const hub = await startHub(t, parts);
  const shown = [];
  const sessions = [];
  let ends = 0;
  const second = new Second({
    connect: async (options) => {
      sessions.push(await connect({ url: hub.url, ...options }));
      return sessions.at(-1);
    },
    report: () => undefined,
    token: null,
    show: ({ verdict, words, params }) => shown.push([verdict, words, params?.code]),
    ended: () => ends++,
  });
  t.after(() => sessions.forEach((session) => session.close()));
  await second.open('0011');
  return { hub, second, shown, sessions, ended: () => ends };
}

test('who waits for the other device hears that the session has ended, and may wait again', DEADLINE, async (t) => {
  const { hub, second, shown, ended } = await open(t, {});
  assert.deepEqual(shown, [['running', 'second.waiting', undefined]]);
  hub.line.send({ type: 'error', code: 'removed' });
  hub.line.end(4503);
  await hub.until(() => ended());
  assert.deepEqual(shown.slice(1), [['bad', 'second.lost', 'removed']]);
  await second.open('0011');
  assert.deepEqual(shown.slice(2), [['running', 'second.waiting', undefined]]);
});

test('what breaks a meeting while the other device is there is said, too', DEADLINE, async (t) => {
  const { hub, shown, ended } = await open(t, { join: ({ room }, { send }) => send(joined(room, 'them')) });
  assert.equal(shown.at(-1)[1], 'second.met');
  hub.line.send({ type: 'left', room: 'check/0011', reason: 'removed' });
  await hub.until(() => ended());
  assert.deepEqual(shown.at(-1), ['bad', 'second.lost', 'removed']);
});

test('a refused meeting leaves no session behind', DEADLINE, async (t) => {
  const join = ({ id }, { send }) => send({ type: 'error', id, code: 'room-full' });
  const { shown, sessions, ended } = await open(t, { join });
  assert.deepEqual(shown.at(-1), ['bad', 'second.refused', 'room-full']);
  assert.equal(ended(), 1);
  assert.equal(sessions[0].state, 'closed');
});
