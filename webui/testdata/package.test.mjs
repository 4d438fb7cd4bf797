// The npm package in Node, as it is: without a stand-in for anything of browsers, but for what Node
// has had itself only since version 22. BOX is the URL of a real hub.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { connect, SignalboxError } from 'signalbox';
import ws from 'ws';

globalThis.WebSocket ??= class extends ws {
  constructor(...args) {
    super(...args);
    this.on('error', () => {}); // one that nobody hears ends the program
  }
};
globalThis.crypto ??= webcrypto;

const DEADLINE = { timeout: 20_000 };
const url = process.env.BOX;

const enter = async (t, name) => {
  const session = await connect({ url, name });
  t.after(() => session.close());
  return session;
};

const next = (emitter, type) => new Promise((resolve) => { emitter.once(type, resolve); });

test('a package knows of no hub but the one that it is told of', DEADLINE, async () => {
  for (const options of [undefined, {}, { url: '/signal' }, { url: '' }]) {
    await assert.rejects(connect(options), (error) => error instanceof SignalboxError && error.code === 'no-url');
  }
});

test('a hub that is not there is unreachable', DEADLINE, async () => {
  await assert.rejects(connect({ url: 'http://127.0.0.1:1/signal', retries: 0 }), { code: 'unreachable' });
});

test('sessions, signals, rooms and broadcasts need no WebRTC', DEADLINE, async (t) => {
  const ada = await enter(t, 'Ada');
  const bob = await enter(t, 'Bob');
  await assert.rejects(ada.join('tea'), { code: 'no-webrtc' });

  const joined = next(ada, 'joined');
  await ada.request({ type: 'join', room: 'tea' });
  assert.deepEqual((await joined).peers, []);
  const met = next(ada, 'peer-joined');
  await bob.request({ type: 'join', room: 'tea' });
  assert.equal((await met).peer.name, 'Bob');

  const heard = next(ada, 'signal');
  await bob.signal(ada.peerId, { hello: true }, 'tea');
  assert.deepEqual((await heard).data, { hello: true });
  const told = next(bob, 'broadcast');
  await ada.request({ type: 'broadcast', room: 'tea', data: [1, 2] });
  assert.deepEqual((await told).data, [1, 2]);
  const left = next(bob, 'peer-left');
  ada.close();
  assert.equal((await left).reason, 'left');
});

test('a listener that throws ends the program, as ever in Node, and not the session', DEADLINE, async (t) => {
  const session = await enter(t, 'Ada');
  const uncaught = new Promise((resolve) => { process.setUncaughtExceptionCaptureCallback(resolve); });
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  session.on('ice', () => { throw new Error('broken'); });
  await session.refreshIce();
  assert.equal((await uncaught).message, 'broken');
  assert.equal(session.state, 'open');
});

test('peers of two programs exchange text and bytes', DEADLINE, async (t) => {
  const { default: datachannel } = await import('node-datachannel');
  const { RTCPeerConnection } = await import('signalbox/node-datachannel');
  const { Data } = await import('signalbox/data');
  globalThis.RTCPeerConnection = RTCPeerConnection;
  after(() => datachannel.cleanup());
  const other = spawn(process.execPath, ['peer.mjs', url, 'peers'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    other.kill('SIGINT');
    await once(other, 'exit');
  });
  await once(other.stdout, 'data'); // it has joined

  const session = await enter(t, 'Ada');
  const room = session.room('peers');
  const data = new Data(room);
  const open = next(room, 'open');
  await room.join();
  const { peer } = await open;
  assert.equal(peer.name, 'node');
  const echoed = next(room, 'message');
  room.send('hello');
  assert.equal((await echoed).data, 'echo: hello');
  assert.deepEqual(await peer.path().then(({ kind, protocol }) => [kind, protocol]), ['direct', 'udp']);
  const message = new Uint8Array(100_000).fill(7);
  assert.equal(await data.transfer(message), 1);

  // A connection can't look for another path; another connection can.
  const again = next(room, 'open');
  await peer.restartIce();
  await again;
  assert.equal(peer.rebuilds, 1);
  const later = next(room, 'message');
  room.send('again');
  assert.equal((await later).data, 'echo: again');
});

test('a peer in Node offers one that asks for media a connection without any', DEADLINE, async (t) => {
  const { RTCPeerConnection } = await import('signalbox/node-datachannel');
  globalThis.RTCPeerConnection = RTCPeerConnection;
  const [session, browser] = [await enter(t, 'Ada'), await enter(t, 'a browser')];
  const room = await session.join('media');
  const errors = [];
  room.on('error', ({ error }) => errors.push(error));
  const met = next(room, 'peer');
  await browser.request({ type: 'join', room: 'media' });
  const { peer } = await met;
  const offer = new Promise((resolve) => {
    browser.on('signal', ({ data: { signalbox: { description, link = 1 } } }) => {
      if (description?.type === 'offer' && link > 1) errors.push(new Error('there is another connection'));
      if (description?.type === 'offer') resolve(description);
    });
  });
  const want = { after: 0, audio: 1, video: 1 };
  await browser.signal(session.peerId, { signalbox: { tag: 'browser', want } }, 'media');
  assert.match((await offer).sdp, /m=application/);
  await browser.ping();
  await session.ping();
  assert.deepEqual(errors, []);
  assert.equal(peer.rebuilds, 0);
});
