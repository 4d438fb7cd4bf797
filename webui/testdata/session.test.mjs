// The SDK's signaling session against a real WebSocket server, which the Go test plays: HUB is its
// URL, and the path says which of its stories it tells. Peer connections need a browser; these
// rooms are empty.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fire, once } from './browser.mjs';
import { connect, SignalboxError } from '../static/signalbox.js';

const hub = (story) => ({ url: `${process.env.HUB}/${story}`, name: 'Ada' });

/** Collects what the hub says it got, and the numbers of its notes. */
function record(session) {
  const got = [];
  const notes = [];
  session.on('got', ({ frame }) => got.push(frame));
  session.on('note', ({ seq }) => notes.push(seq));
  return { got, notes };
}

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

test('a cut connection resumes: what is missing comes once, in order, what is unanswered is sent again', async () => {
  const session = await connect(hub('cut'));
  const { got, notes } = record(session);
  const states = [];
  session.on('state', ({ state }) => states.push(state));
  await session.signal('somebody', 1);
  const pending = [2, 3, 4, 5].map((data) => session.signal('somebody', data));
  session.on('state', ({ state }) => state === 'open' && pending.push(session.signal('somebody', 'at once')));
  const { addressChanged } = await once(session, 'resumed');
  await Promise.all(pending);
  assert.equal(addressChanged, true);
  assert.deepEqual(states, ['reconnecting', 'open']);
  assert.deepEqual(notes, [1, 2, 3]);
  assert.deepEqual(
    got.map(({ type, token, seq, id, data }) => token ?? [type, seq, id, data]),
    [
      ['signal', 1, '1', 1],
      ['signal', 2, '2', 2],
      ['signal', 3, '3', 3],
      'token-of-peer-1',
      ['signal', 4, '4', 4],
      ['signal', 5, '5', 5],
      ['signal', 6, '6', 'at once'],
    ],
  );
  assert.equal(got.find(({ type }) => type === 'resume').seq, 1);
  session.close();
});

test('what is asked while there is no connection waits for one, up to a bound', async () => {
  const session = await connect(hub('cut'));
  const { got } = record(session);
  await session.signal('somebody', 1);
  const before = [2, 3, 4, 5].map((data) => session.signal('somebody', data));
  await once(session, 'state', ({ state }) => state === 'reconnecting');
  const waiting = Array.from({ length: 254 }, (_, i) => session.signal('somebody', i + 6)); // two wait already
  await assert.rejects(session.signal('somebody', 'too many'), { code: 'offline' });
  await assert.rejects(session.ping(), { code: 'offline' });
  await Promise.all([...before, ...waiting]);
  assert.deepEqual(
    got.filter(({ type }) => type === 'signal').map(({ data }) => data),
    Array.from({ length: 259 }, (_, i) => i + 1),
  );
  session.close();
});

test('a session that is over is replaced on its connection: rooms are joined, what was not sent is said', async () => {
  const session = await connect(hub('expired'));
  const { got } = record(session);
  const room = await session.join('tea');
  const lost = session.signal('somebody', 'sent');
  await once(session, 'state', ({ state }) => state === 'reconnecting');
  const kept = session.signal('somebody', 'not sent');
  await assert.rejects(lost, { code: 'lost' });
  await once(room, 'rejoined');
  await kept;
  assert.deepEqual(
    got.map(({ type, replaces, seq, data }) => [type, replaces ?? seq, data]),
    [
      ['join', 1, undefined],
      ['hello', 'token-of-peer-1', undefined],
      ['join', 1, undefined],
      ['signal', 2, 'not sent'],
    ],
  );
  session.close();
});

test('a session ends, too, where nothing can be dialed any more', async (t) => {
  const session = await connect(hub('cut'));
  const native = globalThis.WebSocket;
  t.after(() => { globalThis.WebSocket = native; });
  globalThis.WebSocket = class { constructor() { throw new Error('no WebSockets here'); } };
  for (const data of [1, 2, 3, 4, 5]) session.signal('somebody', data).catch(() => {});
  await once(session, 'state', ({ state }) => state === 'reconnecting');
  session.close();
  assert.equal(session.state, 'closed');
});

test('a connection that says nothing is given up, but what it still held is taken from it', async () => {
  const session = await connect(hub('silent'));
  const { notes } = record(session);
  const errors = [];
  session.on('error', ({ error }) => errors.push(error.code));
  await session.signal('somebody', 1);
  once(session, 'note').then(() => fetch(`${process.env.HUB}/noted`));
  fire('online');
  const { error } = await once(session, 'state', ({ state }) => state === 'reconnecting');
  assert.equal(error.code, 'timeout');
  await once(session, 'note', ({ seq }) => seq === 2);
  assert.deepEqual(notes, [1, 2]);
  assert.deepEqual(errors, []);
  assert.equal(session.state, 'open');
  session.close();
});

test('without WebSockets, events come down and frames go up in POSTs', async () => {
  const session = await connect(hub('no-websocket/plain'));
  assert.equal(session.carrier, 'sse');
  const { got } = record(session);
  await Promise.all(Array.from({ length: 100 }, (_, i) => session.signal('somebody', i)));
  assert.deepEqual(got.map(({ data }) => data), Array.from({ length: 100 }, (_, i) => i));
  const long = '\u{1F6A6}'.repeat(14_000);
  await Promise.all([1, 2, 3, 4, 5].map((n) => session.signal('somebody', `${n}${long}`)));
  assert.deepEqual(got.slice(100).map(({ data }) => data.length), Array(5).fill(1 + long.length));
  assert.ok(await session.ping() >= 0);
  session.close();
});

test('over events, too, a cut connection resumes', async () => {
  const session = await connect(hub('no-websocket/cut'));
  const { got, notes } = record(session);
  await session.signal('somebody', 1);
  await Promise.all([2, 3, 4, 5].map((data) => session.signal('somebody', data)));
  assert.deepEqual(notes, [1, 2, 3]);
  assert.deepEqual(got.filter(({ type }) => type === 'signal').map(({ data }) => data), [1, 2, 3, 4, 5]);
  session.close();
});

test('over events, a refusal has its code', async () => {
  await assert.rejects(connect(hub('no-websocket/refused')), { code: 'unauthorized', final: true });
});

test('over events, the hub is answered when it asks, without a timer', async () => {
  const session = await connect(hub('no-websocket/asks'));
  const { frame } = await once(session, 'got');
  assert.equal(frame.type, 'confirmed');
  session.close();
});

test('over events, the hub is told what has come', async () => {
  const session = await connect(hub('no-websocket/flood'));
  session.on('note', ({ seq }) => seq === 300 && fetch(`${process.env.HUB}/flooded`));
  const { frame } = await once(session, 'got', ({ frame }) => frame.type === 'confirmed');
  assert.ok(frame.received === 300, `${frame.received} frames are confirmed`);
  session.close();
});

/** Has `instead` answer what the SDK fetches, in place of the browser, until the test is over. */
function intercept(t, instead) {
  const { fetch } = globalThis;
  globalThis.fetch = (url, options) => instead(url, options) || fetch(url, options);
  t.after(() => { globalThis.fetch = fetch; });
}

test('over events, a farewell that gets stuck leaves no stream that connects again', { timeout: 10_000 }, async (t) => {
  intercept(t, (_, { keepalive }) => keepalive && new Promise(() => {}));
  const Native = globalThis.EventSource;
  t.after(() => { globalThis.EventSource = Native; });
  const closed = new Promise((resolve) => {
    globalThis.EventSource = class extends Native {
      close() {
        super.close();
        resolve();
      }
    };
  });
  const session = await connect(hub('no-websocket/parting'));
  session.close();
  await fetch(`${process.env.HUB}/parted`, {});
  await closed;
});

test('over events, a farewell is said although too much was waiting', { timeout: 10_000 }, async (t) => {
  // What browsers say of more than 64 KiB that are to outlive the page.
  intercept(
    t,
    (_, { keepalive, body }) =>
      keepalive && Buffer.byteLength(body) > 64 * 1024 && Promise.reject(new TypeError('Failed to fetch')),
  );
  const session = await connect(hub('no-websocket/again'));
  session.signal('somebody', 'what did I say?').catch(() => {});
  await once(session, 'got');
  session.signal('somebody', '工'.repeat(20_000)).catch(() => {});
  session.signal('somebody', '工'.repeat(5000)).catch(() => {});
  session.close();
  let last = '';
  while (last !== '{"type":"bye"}' && !t.signal.aborted) {
    last = await (await fetch(`${process.env.HUB}/last`, {})).text();
  }
});

test('over events, a POST that gets stuck is given up with its connection', { timeout: 10_000 }, async (t) => {
  const session = await connect(hub('no-websocket/cut'));
  t.after(() => session.close());
  let stuck = null;
  intercept(t, (url, options) => {
    if (stuck || !url.endsWith('/send')) return null;
    stuck = options;
    return new Promise(() => {});
  });
  const said = session.signal('somebody', 1);
  fire('online');
  await once(session, 'resumed');
  await said;
  assert.equal(stuck.signal?.aborted, true);
});

test('a token may be a function, which is asked for each hello', async () => {
  let asked = 0;
  const session = await connect({ ...hub('expired'), token: async () => `pass-${++asked}` });
  const { got } = record(session);
  await session.signal('somebody', 1);
  await assert.rejects(session.signal('somebody', 2), { code: 'lost' });
  await session.signal('somebody', 3);
  assert.equal(got.find(({ type }) => type === 'hello').token, 'pass-2');
  session.close();
  await assert.rejects(
    connect({
      ...hub('plain'),
      token: () => {
        throw new Error('no pass');
      },
    }),
    { message: 'no pass' },
  );
});

test('a page that is loaded again is the same peer; a copy of the tab is another one', async () => {
  const sessions = [];
  const hello = async (options) => {
    const session = await connect({ ...hub('again'), ...options });
    sessions.push(session);
    session.signal('somebody', 'what did I say?').catch(() => {});
    const { frame } = await once(session, 'got');
    return frame;
  };
  const first = await hello();
  assert.equal(first.replaces, undefined);
  assert.equal((await hello()).replaces, undefined, 'of a tab that was copied while the page is shown');
  await hello({ url: `${process.env.HUB}/again?other`, keep: false });
  fire('pagehide');
  assert.equal((await hello({ keep: false })).replaces, undefined);
  assert.equal((await hello({ url: `${process.env.HUB}/again?other` })).replaces, undefined);
  assert.equal((await hello()).replaces, 'token-of-peer-1');
  assert.equal((await hello()).replaces, undefined, 'the token was taken');
  // Out of the back/forward cache, the page connects by itself.
  const [session] = sessions;
  const { state } = session;
  fire('pageshow', { persisted: true });
  await once(session, 'state', (now) => now.state === 'open');
  session.signal('somebody', 'what did I say?').catch(() => {});
  const { frame } = await once(session, 'got');
  assert.deepEqual([state, frame.type, frame.replaces], ['reconnecting', 'hello', 'token-of-peer-1']);
  for (const each of sessions) each.close();
});

test('whoever ends a session says so', async () => {
  for (const carrier of ['', 'no-websocket/']) {
    const session = await connect(hub(`${carrier}again`));
    session.signal('somebody', 'what did I say?').catch(() => {});
    await once(session, 'got');
    session.close();
    const deadline = Date.now() + 30_000;
    let last = '';
    while (last !== '{"type":"bye"}' && Date.now() < deadline) {
      last = await (await fetch(`${process.env.HUB}/last`)).text();
    }
    assert.equal(last, '{"type":"bye"}');
  }
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
