// The SDK's signaling session against a real WebSocket server, which the Go test plays: HUB is its URL, and the path says
// which of its stories it tells. Peer connections need a browser; these rooms are empty.
import assert from 'node:assert/strict';
import { test } from 'node:test';

// Empty where Node has a WebSocket.
if (process.env.WEBSOCKET) globalThis.WebSocket = (await import(process.env.WEBSOCKET)).default;
globalThis.addEventListener ??= () => {};
globalThis.removeEventListener ??= () => {};
globalThis.MediaStream ??= class { getTracks() { return []; } };

const { connect, SignalboxError } = await import('../static/signalbox.js');

const hub = (story) => ({ url: `${process.env.HUB}/${story}`, name: 'Ada' });
const once = (emitter, type, accept = () => true) => new Promise((resolve) => {
  const end = emitter.on(type, (detail) => {
    if (!accept(detail)) return;
    end();
    resolve(detail);
  });
});

test('welcome fills the session, and requests are acknowledged', async () => {
  const session = await connect(hub('plain'));
  assert.equal(session.peerId, 'peer-1');
  assert.equal(session.state, 'open');
  assert.deepEqual(session.iceServers, [{ urls: ['stun:b:3478'] }]);
  await session.signal('somebody', { hello: true });
  assert.ok(await session.ping() >= 0);
  session.close();
  assert.equal(session.state, 'closed');
  await assert.rejects(session.ping(), { code: 'closed' });
});

test('a refused hello rejects with the code of the server', async () => {
  await assert.rejects(connect(hub('refused')), (error) => {
    assert.ok(error instanceof SignalboxError);
    assert.equal(error.code, 'unauthorized');
    assert.equal(error.final, true);
    return true;
  });
});

test('no server at all is unreachable', async () => {
  await assert.rejects(connect({ url: 'ws://127.0.0.1:1/' }), { code: 'unreachable' });
});

test('a refused request rejects, and the session goes on', async () => {
  const session = await connect(hub('plain'));
  await assert.rejects(session.join('full'), { code: 'room-full', message: 'the room is full' });
  assert.equal(session.rooms.size, 0);
  const room = await session.join('tea');
  assert.equal(room.capacity, 8);
  session.close();
});

test('pushed ICE servers replace the old ones', async () => {
  const session = await connect(hub('push'));
  const pushed = once(session, 'ice');
  await session.ping();
  const { iceServers } = await pushed;
  assert.deepEqual(iceServers, [{ urls: ['stun:new:3478'] }]);
  assert.equal(session.iceServers, iceServers);
  session.close();
});

test('signals of no room, and of strangers in a room, are events of the session', async () => {
  const session = await connect(hub('signal'));
  const arrived = once(session, 'signal');
  await session.ping();
  const frame = await arrived;
  assert.deepEqual(frame.data, { ring: 1 });
  session.close();
});

test('a lost connection is rebuilt by a new hello, which replaces the old session, and rooms are joined again', async () => {
  const session = await connect(hub('lost'));
  const room = await session.join('tea');
  const states = [];
  session.on('state', ({ state }) => states.push(state));
  await once(room, 'rejoined');
  assert.deepEqual(states, ['reconnecting', 'open']);
  assert.equal(session.peerId, 'peer-2');
  session.close();
});

test('a final close ends the session and its rooms', async () => {
  const session = await connect(hub('replaced'));
  const room = session.room('tea');
  const ended = once(room, 'closed');
  const closed = once(session, 'state', ({ state }) => state === 'closed');
  await room.join();
  assert.equal((await closed).error.code, 'replaced');
  assert.equal((await ended).error.code, 'replaced');
});

test('a broken listener does not break signaling', async () => {
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  const session = await connect(hub('push'));
  session.on('ice', () => { throw new Error('mine'); });
  const pushed = once(session, 'ice');
  await session.ping();
  await pushed;
  assert.deepEqual(reported, ['mine']);
  session.close();
});
