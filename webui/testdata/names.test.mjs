// Calls by name, between the page's own logic, the SDK and the real hub.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { start, stop } from './box.mjs';
import './stub.mjs';
import { connect } from '../joined/signalbox.js';
import { Names } from '../static/js/names/names.js';

const DEADLINE = { timeout: 20_000 };

const state = await mkdtemp(join(tmpdir(), 'signalbox-'));
const box = await start(state, 'signal.room_capacity=2');
after(async () => {
  await stop(box);
  await rm(state, { recursive: true });
});

async function enter(t, user, patience = 1000) {
  const session = await connect({ url: `http://127.0.0.1:${box.port}/signal`, keep: false, name: user, user });
  const ended = [];
  const rooms = [];
  const names = new Names(session, {
    peopled() {},
    rung() {},
    ended: (end) => ended.push(end),
    answered: (room) => rooms.push(room),
  }, patience);
  t.after(() => {
    names.close();
    session.close();
  });
  await names.look();
  return { session, names, ended, rooms, users: () => names.people.map((each) => each.user) };
}

async function until(look) {
  for (;;) {
    if (look()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('more than a room takes see each other come and go', DEADLINE, async (t) => {
  const ann = await enter(t, 'ann');
  const others = [await enter(t, 'cem'), await enter(t, 'bob'), await enter(t, 'dot')];
  await until(() => ann.users().length === 3);
  assert.deepEqual(ann.users(), ['bob', 'cem', 'dot']);
  assert.deepEqual(others[2].users(), ['ann', 'bob', 'cem']);
  others[1].session.close();
  await until(() => ann.users().length === 2);
  assert.deepEqual(ann.ended, []);
});

test('who answers meets the caller in a room of their own', DEADLINE, async (t) => {
  const [ann, bob] = [await enter(t, 'ann1'), await enter(t, 'bob1')];
  const rung = ann.names.ring('bob1');
  assert.deepEqual(ann.names.call, { user: 'bob1', name: 'bob1', isOwn: true, isAnswered: false });
  await until(() => bob.names.call);
  assert.deepEqual(bob.names.call, { user: 'ann1', name: 'ann1', isOwn: false, isAnswered: false });
  bob.names.answer();
  await rung;
  await until(() => bob.rooms.length);
  assert.match(ann.rooms[0], /^[\w-]{22}$/);
  assert.deepEqual(ann.rooms, bob.rooms);
  assert.deepEqual([...ann.ended, ...bob.ended], []);
  assert.equal(ann.names.call, null);
});

test('two who call each other at once meet, too', DEADLINE, async (t) => {
  const [ann, bob] = [await enter(t, 'ann2'), await enter(t, 'bob2')];
  await Promise.all([ann.names.ring('bob2'), bob.names.ring('ann2')]);
  assert.equal(ann.rooms.length, 1);
  assert.deepEqual(ann.rooms, bob.rooms);
});

test('what a caller hears: declined, busy, not here; and who was called: missed', DEADLINE, async (t) => {
  const [ann, bob, cem] = [await enter(t, 'ann3'), await enter(t, 'bob3'), await enter(t, 'cem3')];
  const first = ann.names.ring('bob3');
  await until(() => bob.names.call);
  await cem.names.ring('bob3');
  assert.deepEqual(cem.ended, [{ user: 'bob3', code: 'busy' }]);
  assert.deepEqual(bob.ended, [{ user: 'cem3', code: 'missed' }]);
  bob.names.end();
  await first;
  assert.deepEqual(ann.ended, [{ user: 'bob3', code: 'declined' }]);

  const again = ann.names.ring('bob3');
  await until(() => bob.names.call);
  ann.names.end();
  await again;
  await until(() => !bob.names.call);
  assert.equal(ann.ended.length, 1, 'who gives up needs no word');
  assert.deepEqual(bob.ended[1], { user: 'ann3', code: 'missed' });

  await ann.names.ring('nobody');
  assert.deepEqual(ann.ended[1], { user: 'nobody', code: 'no-such-peer' });
});

test('one who leaves while it rings has not answered; one who rings and leaves is missed', DEADLINE, async (t) => {
  const [ann, bob] = [await enter(t, 'ann9'), await enter(t, 'bob9')];
  const rung = ann.names.ring('bob9');
  await until(() => bob.names.call);
  bob.session.close();
  await rung;
  assert.deepEqual(ann.ended, [{ user: 'bob9', code: 'unanswered' }]);
  assert.equal(ann.names.call, null);

  const cem = await enter(t, 'cem9');
  ann.names.ring('cem9');
  await until(() => cem.names.call);
  ann.session.close();
  await until(() => cem.ended.length);
  assert.deepEqual(cem.ended, [{ user: 'ann9', code: 'missed' }]);
  assert.equal(cem.names.call, null);
});

test('listed is who can be called: no client of MDN’s chat, which knows of no rooms', DEADLINE, async (t) => {
  const chat = new WebSocket(`ws://127.0.0.1:${box.port}/chat`, 'json');
  t.after(() => chat.close());
  const told = new Promise((resolve) => {
    chat.onmessage = ({ data }) => /"userlist".*dora/.test(data) && resolve(data);
  });
  await new Promise((resolve) => { chat.onopen = resolve; });
  chat.send(JSON.stringify({ type: 'username', name: 'dora' }));
  const [ann] = [await enter(t, 'ann10'), await enter(t, 'bob10')];
  await until(() => ann.users().length > 0);
  assert.deepEqual(ann.users(), ['bob10']);
  assert.doesNotMatch(await told, /ann10|bob10/);
});

test('a program that takes no calls has not declined', DEADLINE, async (t) => {
  const ann = await enter(t, 'ann11');
  const deaf = await connect({ url: `http://127.0.0.1:${box.port}/signal`, keep: false, user: 'deaf' });
  t.after(() => deaf.close());
  await ann.names.ring('deaf');
  assert.deepEqual(ann.ended, [{ user: 'deaf', code: 'elsewhere' }]);
});

test('a program that knows of no rooms is told apart', DEADLINE, async (t) => {
  const ann = await enter(t, 'ann4');
  const bot = await connect({ url: `http://127.0.0.1:${box.port}/signal`, keep: false, user: 'bot' });
  t.after(() => bot.close());
  bot.on('call', ({ call }) => call.accept());
  await ann.names.ring('bot');
  assert.deepEqual(ann.ended, [{ user: 'bot', code: 'elsewhere' }]);
  assert.deepEqual(ann.rooms, []);
});

test('only the far end of a call proposes a room, and only a room', DEADLINE, async (t) => {
  const [ann, bob, eve] = [await enter(t, 'ann5'), await enter(t, 'bob5'), await enter(t, 'eve5')];
  const rung = ann.names.ring('bob5');
  await until(() => bob.names.call);
  await eve.session.signal(ann.session.peerId, { 'signalbox.room': 'x'.repeat(22) });
  bob.names.answer();
  await rung;
  await until(() => bob.rooms.length);
  assert.deepEqual(ann.rooms, bob.rooms);
  assert.notEqual(ann.rooms[0], 'x'.repeat(22));
});

test('an answered call without a room yet can be ended: nobody goes anywhere', DEADLINE, async (t) => {
  for (const [n, ends] of [['6', 'callee'], ['8', 'caller']]) {
    const [ann, bob] = [await enter(t, `ann${n}`, 60_000), await enter(t, `bob${n}`, 60_000)];
    for (const { session } of [ann, bob]) {
      const signal = session.signal.bind(session);
      session.signal = (to, data) => (data['signalbox.room'] ? new Promise(() => {}) : signal(to, data)); // never said
    }
    const rung = ann.names.ring(`bob${n}`);
    await until(() => bob.names.call);
    bob.names.answer();
    assert.equal(bob.names.call.isAnswered, true);
    for (const { session } of [ann, bob]) await until(() => [...session.calls.values()][0]?.peer);
    (ends === 'callee' ? bob : ann).names.end();
    await rung;
    await until(() => !bob.names.call);
    assert.deepEqual(ann.ended, ends === 'callee' ? [{ user: 'bob6', code: 'declined' }] : []);
    assert.deepEqual(bob.ended, ends === 'callee' ? [] : [{ user: 'ann8', code: 'missed' }]);
    assert.deepEqual([...ann.rooms, ...bob.rooms], []);
    assert.equal(ann.session.calls.size + bob.session.calls.size, 0);
  }
});

test('words of many strangers don’t shut out that of the far end', DEADLINE, async (t) => {
  const [ann, bob, eve] = [await enter(t, 'ann7'), await enter(t, 'bob7'), await enter(t, 'eve7')];
  const rung = ann.names.ring('bob7');
  await until(() => bob.names.call);
  for (let n = 0; n < 16; n++) {
    const { session } = await enter(t, `stranger${n}`);
    await session.signal(ann.session.peerId, { 'signalbox.room': 'x'.repeat(22) });
  }
  await eve.session.signal(ann.session.peerId, { 'signalbox.room': 'x'.repeat(22) });
  bob.names.answer();
  await rung;
  assert.deepEqual(ann.ended, []);
  await until(() => bob.rooms.length);
  assert.deepEqual(ann.rooms, bob.rooms);
});

test('many come and go at the price of one look; a list that was hidden is hidden no more', DEADLINE, async (t) => {
  const ears = {};
  let looks = 0;
  const session = {
    get user() {
      looks++;
      return 'me';
    },
    on: (type, listener) => { ears[type] = listener; return () => {}; },
    request: async ({ room }) => {
      if (isFull) throw Object.assign(new Error('full'), { code: 'room-full' });
      ears.joined({ room, peers: [] });
    },
  };
  let isFull = true;
  let told = 0;
  const names = new Names(session, { peopled() { told++; }, rung() {}, ended() {}, answered() {} }, 0, 10);
  t.after(() => names.close());
  await names.look();
  assert.deepEqual([names.hidden, told], ['room-full', 1]);
  isFull = false;
  await until(() => !names.hidden);
  assert.deepEqual(names.people, []);
  const room = 'names/lobby';
  told = looks = 0;
  for (let n = 0; n < 1000; n++) ears['peer-joined']({ room, peer: { id: `p${n}`, user: `u${n}` } });
  for (let n = 0; n < 998; n++) ears['peer-left']({ room, peer: { id: `p${n}` } });
  assert.deepEqual(names.people, [{ user: 'u998' }, { user: 'u999' }]);
  assert.equal(names.people, names.people, 'it is made once');
  assert.equal(told, 1998);
  assert.ok(looks < 10, `${looks} looks`);
});
