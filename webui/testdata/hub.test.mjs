// The SDK's sessions and calls against the real thing: SIGNALBOX is the binary. A proxy stands
// between, whose lines can be cut.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { start, stop } from './box.mjs';
import { fire, once, streams } from './browser.mjs';
import { connect } from '../joined/signalbox.js';

const state = await mkdtemp(join(tmpdir(), 'signalbox-'));
const lines = new Set();
const KEY = 'a-key-of-the-tests';
let box = null;

const SETTINGS = ['signal.calls=true', `api.keys=${KEY}`];

async function startBox() {
  box = await start(state, ...SETTINGS);
}

async function stopBox() {
  const stopping = box;
  box = null;
  await stop(stopping);
}

const proxy = net.createServer((client) => {
  if (!box) return client.destroy();
  const server = net.connect(box.port, '127.0.0.1');
  for (const [end, far] of [[client, server], [server, client]]) {
    lines.add(end);
    end.pipe(far);
    end.on('error', () => {});
    end.on('close', () => {
      lines.delete(end);
      far.end(); // not destroyed: it may have something to deliver still
    });
  }
});
await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
await startBox();
const sessions = new Set(); // all that were begun: one that is left open would keep Node from ending
after(async () => {
  for (const session of sessions) session.close();
  if (box) await stopBox();
  proxy.close();
  cut();
  await rm(state, { recursive: true });
});

const cut = () => lines.forEach((line) => line.destroy());
const enter = async (user, options) => {
  const url = `http://127.0.0.1:${proxy.address().port}/signal`;
  const session = await connect({ url, name: user, user, ...options });
  sessions.add(session);
  return session;
};
const settled = (session, wanted) =>
  session.state === wanted || once(session, 'state', ({ state }) => state === wanted);

const DEADLINE = { timeout: 20_000 }; // the box forgets a session by itself after a minute

let pairs = 0;

async function pair(t) {
  pairs++; // names of their own: those of the last test may not be free yet
  const both = await Promise.all(['ann', 'bob'].map((name) => enter(`${name}${pairs}`, { keep: false })));
  t.after(() => both.forEach((session) => session.close()));
  return both;
}

const Native = globalThis.WebSocket;

/** Has sessions that begin in this test begin over that carrier. */
function use(t, carrier) {
  globalThis.WebSocket =
    carrier === 'websocket'
      ? Native
      : class {
          constructor() {
            throw new Error('no WebSockets here');
          }
        };
  t.after(() => { globalThis.WebSocket = Native; });
}

for (const carrier of ['websocket', 'sse']) {
  test(`begun over ${carrier}, everything comes once and in order, however often the line is cut`, async (t) => {
    use(t, carrier);
    const [ann, bob] = await pair(t);
    assert.equal(ann.carrier, carrier);
    await assert.rejects(enter(bob.user, { keep: false }), { code: 'user-taken' });
    // More may wait for one who has answered: what is said while the line is cut.
    const called = once(bob, 'signal');
    await ann.signal(`@${bob.user}`, 'Bob?');
    await bob.signal((await called).from, 'Yes?');
    const got = [];
    const all = new Promise((resolve) => bob.on('signal', ({ data }) => {
      got.push(data);
      if (data % 40 === 20) cut();
      if (data === 200) resolve();
    }));
    const sent = [];
    for (let n = 1; n <= 200; n++) {
      sent.push(ann.signal(`@${bob.user}`, n));
      if (n % 25 === 0) await sent.at(-1);
    }
    await Promise.all([all, ...sent]);
    // By now they may be on the other carrier, which is tried when connections don't last.
    assert.deepEqual(got, Array.from({ length: 200 }, (_, i) => i + 1));
  });
}

test('Hub13: the operator’s server speaks to a room, and takes a session out of it', async (t) => {
  const [ann] = await pair(t);
  const room = await ann.join('lesson'); // alone: peer connections need a browser
  const other = await ann.join('other');
  const ask = (what, body) =>
    fetch(`http://127.0.0.1:${box.port}/api/rooms/lesson/${what}`, {
      method: 'POST', headers: { authorization: `Bearer ${KEY}` }, body: JSON.stringify(body),
    });
  const said = once(room, 'broadcast');
  assert.equal((await ask('send', { data: { bell: 3 } })).status, 204);
  const { from, data } = await said;
  assert.deepEqual({ from, data }, { from: 'server', data: { bell: 3 } });
  const alone = once(ann, 'signal');
  assert.equal((await ask('send', { to: ann.peerId, data: 1 })).status, 204);
  assert.equal((await alone).from, 'server');
  const closed = once(room, 'closed');
  assert.equal((await ask('kick', { peer: ann.peerId })).status, 200);
  assert.equal((await closed).error.code, 'kicked');
  assert.deepEqual([...ann.rooms.keys()], ['other']);
  await other.broadcast('still here');
  await ann.join('lesson');
});

test('a restart of the box costs neither the peer id nor the user name', async (t) => {
  const [ann, bob] = await pair(t);
  const ids = [ann.peerId, bob.peerId];
  await stopBox();
  await Promise.all([settled(ann, 'reconnecting'), settled(bob, 'reconnecting')]);
  const said = once(bob, 'signal');
  const waiting = ann.signal(`@${bob.user}`, 'said while there was no box').catch((error) => error.code);
  await startBox();
  await Promise.all([settled(ann, 'open'), settled(bob, 'open')]);
  assert.deepEqual([ann.peerId, bob.peerId], ids);
  // Whoever is back first finds nobody else there yet.
  if (await waiting === 'no-such-peer') await ann.signal(`@${bob.user}`, 'said again');
  assert.equal((await said).from, ann.peerId);
});

for (const down of [0, 300, 2000]) {
  test(`S3: after a restart of ${down} ms, everybody is back on a WebSocket`, { timeout: 60_000 }, async (t) => {
    const all = await Promise.all(Array.from({ length: 8 }, (_, n) => enter(`gus${n}`, { keep: false })));
    t.after(() => all.forEach((session) => session.close()));
    const news = [];
    for (const session of all) session.on('carrier', ({ carrier }) => news.push(carrier));
    await stopBox();
    await new Promise((resolve) => setTimeout(resolve, down));
    await startBox();
    await Promise.all(all.map((session) => settled(session, 'open')));
    while (streams.size && !t.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual([streams.size, news], [0, []]);
    await Promise.all(all.map((session) => session.ping()));
  });
}

test('S3: a fallback is told only where WebSockets fail while HTTP works, and ends when they do', async (t) => {
  const [ann] = await pair(t);
  const told = [];
  ann.on('carrier', ({ carrier }) => told.push(carrier));
  use(t, 'sse');
  const fallen = once(ann, 'carrier');
  const cutting = setInterval(cut, 100); // until the other carrier is tried
  await settled(ann, 'reconnecting');
  await new Promise((resolve) => setTimeout(resolve, 2500));
  clearInterval(cutting);
  await fallen;
  assert.deepEqual([ann.carrier, told], ['sse', ['sse']]);
  globalThis.WebSocket = Native;
  fire('online');
  // The way back costs nothing that is said meanwhile.
  const back = once(ann, 'carrier');
  let said = 0;
  for (let gone = false; !gone; said++) {
    await ann.signal(ann.peerId, said).catch(({ code }) => assert.equal(code, 'no-such-peer'));
    gone = await Promise.race([back.then(() => true), new Promise((resolve) => setTimeout(resolve, 1, false))]);
  }
  assert.ok(said > 1, `${said}`);
  assert.deepEqual([ann.carrier, told], ['websocket', ['sse', 'websocket']]);
  await ann.ping();
});

test('a page that is loaded again keeps its peer id, and its user name is free at once', async () => {
  const first = await enter('cem');
  fire('pagehide');
  const second = await enter('cem');
  assert.equal(second.peerId, first.peerId);
  first.close();
  second.close();
});

test('a session that is taken over is closed for good', async () => {
  const first = await enter('dan');
  const closed = once(first, 'state', ({ state }) => state === 'closed');
  const { setItem } = sessionStorage;
  let token;
  sessionStorage.setItem = (_, value) => { token = value; };
  fire('pagehide');
  sessionStorage.setItem = setItem;
  fire('pageshow', { persisted: true });
  await settled(first, 'open');
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.address().port}/signal`);
  await new Promise((resolve) => { socket.onopen = resolve; });
  socket.send(JSON.stringify({ type: 'hello', replaces: token }));
  assert.equal((await closed).error.code, 'replaced');
  socket.close();
});

test('calls that come to nothing say why, and at once', async (t) => {
  const [ann, bob] = await pair(t);
  await assert.rejects(ann.call('nobody'), { code: 'no-such-peer' });
  await assert.rejects(
    ann.call(`@${bob.user}`),
    { code: 'declined', reason: 'unavailable' },
    'nobody listens for calls there',
  );

  const off = bob.on('call', ({ call }) => {
    assert.deepEqual([call.from, call.name, call.user], [ann.peerId, ann.user, ann.user]);
    call.decline('busy');
    assert.throws(() => call.accept(), { code: 'canceled' });
  });
  await assert.rejects(ann.call(bob.user), { code: 'declined', reason: 'busy' });
  off();

  const cancel = new AbortController();
  bob.on('call', () => cancel.abort());
  const rung = once(bob, 'call');
  await assert.rejects(ann.call(bob.user, { signal: cancel.signal }), { code: 'canceled' });
  const { call } = await rung;
  await once(call, 'canceled');
  assert.throws(() => call.accept(), { code: 'canceled' });
  await assert.rejects(
    ann.call(bob.user, { signal: cancel.signal }),
    { code: 'canceled' },
    'it was canceled before it began',
  );
});

test('a call ends with either session', async (t) => {
  const [ann, bob] = await pair(t);
  const rung = once(bob, 'call');
  const outcome = assert.rejects(ann.call(bob.user), { code: 'canceled' });
  const { call } = await rung;
  const canceled = once(call, 'canceled');
  ann.close();
  await Promise.all([outcome, canceled]);

  const eve = await enter('eve');
  t.after(() => eve.close());
  bob.on('call', () => bob.close());
  await assert.rejects(eve.call(bob.user), { code: 'unanswered' });
});

for (const carrier of ['websocket', 'sse']) {
  test(`S12: over ${carrier}, a connect that is aborted at any moment leaves no session`, DEADLINE, async (t) => {
    use(t, carrier);
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const moments = {
      'at once': () => {},
      'asked for the token': (asked) => asked,
      'a moment later': (asked) => asked.then(() => pause(1)),
      'an answer later': (asked) => asked.then(() => pause(5)),
    };
    for (const [moment, wait] of Object.entries(moments)) {
      const user = `gil-${carrier}-${moment}`;
      const control = new AbortController();
      let token;
      const asked = new Promise((resolve) => { token = resolve; });
      const connecting = enter(user, { keep: false, signal: control.signal, token: () => { token(); return ''; } });
      const outcome = connecting.then(() => 'open', ({ code }) => code);
      await wait(asked);
      control.abort();
      assert.match(await outcome, moment.endsWith('later') ? /^(open|canceled)$/ : /^canceled$/, moment);
      // What is on its way still is over in a moment; what was left would be there for a minute.
      let next = null;
      while (!next && !t.signal.aborted) {
        next = await enter(user, { keep: false }).catch(({ code }) => assert.equal(code, 'user-taken'));
      }
      assert.ok(next, moment);
      next.close();
    }
  });
}

test('S6: what the hub refuses until a peer has read what is there is said again', DEADLINE, async (t) => {
  const plain = (first, room) => new Promise((resolve, reject) => { // a client that is not the SDK
    const socket = new Native(`ws://127.0.0.1:${proxy.address().port}/signal`);
    const frames = [];
    socket.onopen = () => socket.send(JSON.stringify(first));
    socket.onerror = reject;
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      frames.push(frame);
      if (frame.type === 'welcome' && room) socket.send(JSON.stringify({ type: 'join', room }));
      if (frame.type === 'joined' || frame.type === 'resumed') resolve({ socket, frames });
    };
  });
  const { frames: [{ peerId, resumeToken }, { seq }] } = await plain({ type: 'hello', name: 'bob' }, 'slow');
  cut();
  const [ann] = await pair(t);
  const errors = [];
  ann.on('error', ({ error }) => errors.push(error.code));
  await ann.request({ type: 'join', room: 'slow' });
  const long = 'x'.repeat(60_000);
  const taken = await Promise.allSettled([1, 2, 3, 4, 5].map(() => ann.signal(peerId, long)));
  assert.equal(taken.at(-1).reason?.code, 'rate-limited');
  ann._post({ type: 'signal', to: peerId, room: 'slow', data: { said: long } });
  await ann.ping();
  const { socket, frames } = await plain({ type: 'resume', token: resumeToken, seq });
  t.after(() => socket.close());
  const heard = () => frames.some(({ data }) => data?.said === long);
  while (!heard()) await new Promise((resolve) => socket.addEventListener('message', resolve, { once: true }));
  assert.deepEqual(errors, []);
});

test('S12: what is mounted twice, as React does it, has one session, and the peer id of the page before', async () => {
  const before = await enter('hal');
  fire('pagehide');
  const mount = () => {
    const control = new AbortController();
    const session = enter('hal', { signal: control.signal });
    session.catch(() => {});
    return { session, unmount: () => control.abort() };
  };
  const first = mount();
  first.unmount();
  const second = mount();
  await assert.rejects(first.session, { code: 'canceled' });
  const session = await second.session;
  assert.equal(session.peerId, before.peerId);
  second.unmount();
  assert.equal(session.state, 'closed');
  let next; // the goodbye is another connection's, and may come after this one's hello
  while (!next) next = await enter('hal', { keep: false }).catch(({ code }) => assert.equal(code, 'user-taken'));
  next.close();
  before.close();
});

test('S12: the first connection is tried again: a box that restarts is no error', async (t) => {
  await stopBox();
  t.after(async () => box || await startBox());
  await assert.rejects(enter('ida', { keep: false, retries: 0 }), { code: 'unreachable' });
  const connecting = enter('ida', { keep: false, retries: 5 });
  await startBox();
  const session = await connecting;
  assert.equal(session.user, 'ida');
  session.close();
});

for (const carrier of ['websocket', 'sse']) {
  test(`over ${carrier}, what is longer than the hub takes is refused, and costs nobody the session`, async (t) => {
    use(t, carrier);
    const [ann, bob] = await pair(t);
    assert.equal(bob.carrier, carrier);
    const said = once(bob, 'signal');
    await ann.signal(`@${bob.user}`, '工'.repeat(21_700)); // three bytes each
    assert.equal((await said).data, '工'.repeat(21_700));
    await assert.rejects(ann.signal(bob.peerId, '工'.repeat(22_000)), { code: 'too-large' });
    assert.ok((await ann.ping()) >= 0);
  });
}

test('a session that is closed while it has no connection gives its user name back', DEADLINE, async (t) => {
  for (const carrier of ['websocket', 'sse']) {
    const name = `fay-${carrier}`;
    use(t, carrier);
    const first = await enter(name, { keep: false });
    assert.equal(first.carrier, carrier);
    await first.ping(); // one that says nothing after its hello gives way to another
    cut();
    await settled(first, 'reconnecting');
    first.close();
    let second = null;
    while (!second && !t.signal.aborted) {
      second = await enter(name, { keep: false }).catch(({ code }) => assert.equal(code, 'user-taken'));
    }
    second?.close();
  }
});
