// Calls to a user of several sessions, between the SDK and the real hub. Tokens say who is whom.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { start, stop } from './box.mjs';
import { once } from './browser.mjs';
import { startHub, WELCOME } from './stub.mjs';
import { connect } from '../joined/signalbox.js';
import { Names } from '../static/js/names/names.js';

const DEADLINE = { timeout: 20_000 };
const KEY = '0123456789abcdef0123456789abcdef';

const state = await mkdtemp(join(tmpdir(), 'signalbox-'));
const box = await start(state, 'auth.mode=jwt', `auth.jwt_key=${KEY}`, 'signal.devices=3');
after(async () => {
  await stop(box);
  await rm(state, { recursive: true });
});

function tokenFor(user) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { user, rooms: 'names/lobby', exp: Math.floor(Date.now() / 1000) + 3600 };
  const text = `${part({ alg: 'HS256' })}.${part(claims)}`;
  return `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`;
}

const url = `http://127.0.0.1:${box.port}/signal`;

async function enter(t, user) {
  const session = await connect({ url, keep: false, name: user, token: tokenFor(user) });
  t.after(() => session.close());
  return session;
}

let calls = 0;

// Alice, and Bob on so many devices; `ring` has her call him, until all of them ring.
async function ready(t, count = 2) {
  const name = `bob${++calls}`;
  const alice = await enter(t, `alice${calls}`);
  const devices = [];
  for (let n = 0; n < count; n++) devices.push(await enter(t, name));
  const ring = async (options) => {
    const rung = devices.map((device) => once(device, 'call').then(({ call }) => call));
    const outcome = alice.call(name, options);
    outcome.catch(() => {}); // the test looks at it later
    return { outcome, ringing: await Promise.all(rung) };
  };
  return { alice, devices, name, ring };
}

const canceled = (call) => once(call, 'canceled');
const ended = (call) => once(call, 'closed');

test('all devices ring, and the first that answers has the call', DEADLINE, async (t) => {
  const { alice, devices, name, ring } = await ready(t, 3);
  await assert.rejects(enter(t, name), { code: 'user-taken' });
  const { outcome, ringing } = await ring();
  const others = ringing.filter((_, n) => n !== 1).map(canceled);
  const answered = ringing[1].accept();
  const call = await outcome;
  assert.equal(call.peer.id, devices[1].peerId);
  assert.equal(answered.peer.id, alice.peerId);
  for (const { reason } of await Promise.all(others)) assert.equal(reason, 'answered-elsewhere');
  assert.throws(() => ringing[0].accept(), { code: 'canceled' });

  const over = ended(answered);
  call.hangup();
  await over;
  assert.equal(devices[1].calls.size, 0);
  const again = await ring(); // it is over for the hub, too
  const stopped = again.ringing.map(canceled);
  const next = again.ringing[0].accept();
  await again.outcome;
  assert.equal((await stopped[1]).reason, 'answered-elsewhere');
  const closed = ended(await again.outcome);
  next.hangup();
  await closed;
});

test('of two devices that answer at once, one has the call', DEADLINE, async (t) => {
  const { devices, ring } = await ready(t);
  const { outcome, ringing } = await ring();
  const ends = ringing.map((call) => {
    const left = once(call, 'left');
    call.accept();
    return left;
  });
  const call = await outcome;
  const winner = devices.findIndex(({ peerId }) => peerId === call.peer.id);
  const { reason } = await ends[1 - winner];
  assert.equal(reason, 'answered-elsewhere');
  assert.equal(devices[1 - winner].calls.size, 0);
  assert.equal(devices[winner].calls.size, 1);
  assert.equal(call.peers.size, 1);
});

test('a device that declines stops ringing, and the caller hears the last', DEADLINE, async (t) => {
  const { alice, devices, ring } = await ready(t);
  const { outcome, ringing } = await ring();
  ringing[0].decline('busy');
  await devices[0].ping(); // the hub has it
  await alice.ping();
  assert.equal(alice.calls.size, 1);
  ringing[1].decline('asleep');
  await assert.rejects(outcome, { code: 'declined', reason: 'asleep' });

  const next = await ring(); // and one that has declined rings again
  next.ringing[1].decline();
  next.ringing[0].accept();
  assert.equal((await next.outcome).peer.id, devices[0].peerId);
});

test('devices that go away stop nothing, but the last', DEADLINE, async (t) => {
  const { alice, devices, ring } = await ready(t);
  const { outcome } = await ring();
  devices[0].close();
  await alice.ping();
  assert.equal(alice.calls.size, 1);
  devices[1].close();
  await assert.rejects(outcome, { code: 'unanswered' });
});

test('one that declines by a signal, as clients may, has answered', DEADLINE, async (t) => {
  const { alice, devices, ring } = await ready(t);
  const { outcome, ringing } = await ring();
  const stopped = canceled(ringing[1]);
  const [id] = devices[0].calls.keys();
  await devices[0].signal(alice.peerId, { signalbox: { call: 'decline', id, reason: 'no' } });
  await assert.rejects(outcome, { code: 'declined', reason: 'no' });
  assert.equal((await stopped).reason, 'answered-elsewhere');
});

test('a last word may be anything', DEADLINE, async (t) => {
  const odd = [{}, { toString: 1, valueOf: 1 }, [1]].map((reason) => ({ signalbox: { call: 'decline', reason } }));
  for (const data of [null, 1, { signalbox: null }, ...odd]) {
    const { alice, devices, ring } = await ready(t, 1);
    const { outcome } = await ring();
    await devices[0].request({ type: 'leave', to: alice.peerId, data });
    await assert.rejects(outcome, { code: data?.signalbox ? 'declined' : 'unanswered' });
  }
});

test('a device where nobody listens leaves the call to the others', DEADLINE, async (t) => {
  const { alice, devices, name } = await ready(t);
  const rung = once(devices[1], 'call');
  const outcome = alice.call(name);
  const { call } = await rung;
  await devices[0].ping();
  call.accept();
  assert.equal((await outcome).peer.id, devices[1].peerId);
});

test('a caller that gives up stops the ringing everywhere', DEADLINE, async (t) => {
  const { devices, ring } = await ready(t);
  const control = new AbortController();
  const { outcome, ringing } = await ring({ signal: control.signal });
  const stopped = ringing.map(canceled);
  control.abort();
  await assert.rejects(outcome, { code: 'canceled' });
  for (const { reason } of await Promise.all(stopped)) assert.equal(reason, 'left');
  assert.ok(devices.every(({ calls }) => calls.size === 0));
});

// The hub still has one call of the two: neither may end it.
test('a second call to who is talking already harms nothing', DEADLINE, async (t) => {
  const { alice, devices, name, ring } = await ready(t);
  const { outcome, ringing } = await ring();
  const answered = ringing[0].accept();
  const call = await outcome;
  await assert.rejects(alice.call(name), { code: 'declined', reason: 'busy' });
  const control = new AbortController();
  const again = alice.call(name, { signal: control.signal });
  control.abort();
  await assert.rejects(again, { code: 'canceled' });
  await alice.ping();
  await devices[0].ping();
  assert.deepEqual([...alice.calls.values()], [call]);
  assert.deepEqual([...devices[0].calls.values()], [answered]);
});

test('hanging up ends the call for the hub, too', DEADLINE, async (t) => {
  const { alice, devices, ring } = await ready(t, 1);
  const { outcome, ringing } = await ring();
  const answered = ringing[0].accept();
  const call = await outcome;
  const left = once(answered, 'left');
  call.hangup();
  assert.equal((await left).reason, 'left');
  await assert.rejects(alice.signal(devices[0].peerId, 'still there?'), { code: 'no-such-peer' });
  await assert.rejects(devices[0].signal(alice.peerId, 'still there?'), { code: 'no-such-peer' });
});

// What a device of Bob's says in a call.
const from = (id, call, of) => ({
  type: 'signal', from: id, fromName: 'bob', fromUser: 'bob', polite: false, data: { signalbox: { call, id: of } },
});
const said = (call) => ({ data }) => data?.signalbox?.call === call;

// Of a call that has just ended, more may be on its way when the next one rings.
test('what comes late of the call before takes none back that rings', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const session = await connect({ url: hub.url, keep: false });
  t.after(() => session.close());
  const outcome = session.call('bob');
  const { id } = (await hub.frame(said('ring'))).data.signalbox;
  hub.line.send({ ...from('phone', 'peer', 'before'), seq: 1 });
  const { type, data } = await hub.frame(said('end'));
  assert.equal(type, 'signal');
  assert.equal(data.signalbox.id, 'before');
  hub.line.send({ ...from('phone', 'accept', id), seq: 2 });
  assert.equal((await outcome).peer.id, 'phone');
});

// After a restart of the box, another device of the user may be back before the one that talks.
test('a call finds the device that has it, not another one', DEADLINE, async (t) => {
  let welcomes = 0;
  const hub = await startHub(t, {
    hello: (_, { send }) => send({ ...WELCOME, resumeSeconds: 0, peerId: `me${++welcomes}` }),
  });
  const session = await connect({ url: hub.url, keep: false });
  t.after(() => session.close());
  let seq = 0;
  const say = (frame) => hub.line.send({ ...frame, seq: ++seq });
  const outcome = session.call('bob');
  const { id } = (await hub.frame(said('ring'))).data.signalbox;
  say(from('phone', 'accept', id));
  const { peer } = await outcome;
  peer.connection.connectionState = 'connected';
  hub.line.cut();
  await hub.frame(said('back'));
  await hub.until(() => peer.present); // in Node, what comes at once with the answer would overtake it
  seq = 0;
  const { signalbox } = from('laptop', 'end', id).data;
  say({ type: 'peer-left', peer: { id: 'laptop', name: 'bob', user: 'bob' }, reason: 'left', data: { signalbox } });
  await hub.until(({ frames }) => frames.filter(said('back')).length > 1);
  await hub.until(() => peer.present);
  assert.equal(peer.id, 'phone');
});

test('start pages on two devices of one name: both ring, and the other one says where it was answered', DEADLINE,
  async (t) => {
    const { alice, devices, name } = await ready(t);
    const [caller, first, second] = await Promise.all([alice, ...devices].map(async (session) => {
      const page = { ended: [], rooms: [] };
      page.names = new Names(session, {
        peopled: () => page.onchange?.(),
        rung: () => page.onchange?.(),
        ended: (end) => page.ended.push(end),
        answered: (room) => page.rooms.push(room),
      });
      page.until = (look) => new Promise((resolve) => {
        page.onchange = () => look() && resolve();
        page.onchange();
      });
      t.after(() => page.names.close());
      await page.names.look();
      return page;
    }));
    await caller.until(() => caller.names.people.length);
    assert.deepEqual(caller.names.people, [{ user: name }]);
    assert.deepEqual(second.names.people.filter(({ user }) => user === name), [], 'nobody is offered oneself');
    const rung = caller.names.ring(name);
    await Promise.all([first, second].map((page) => page.until(() => page.names.call)));
    first.names.answer();
    await rung;
    await first.until(() => first.rooms.length);
    await second.until(() => !second.names.call);
    assert.deepEqual(first.rooms, caller.rooms);
    assert.deepEqual(second.ended, [{ user: alice.user, code: 'answered-elsewhere' }]);
    assert.deepEqual([...caller.ended, ...first.ended], []);
  });
