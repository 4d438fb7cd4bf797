// How the SDK gets over connections, sessions and peer connections that end at a bad moment.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { fire, once } from './browser.mjs';
import { CARRIERS } from '../sdk/carriers.js';
import { EXPIRED, joined, pass, RESUMED, startHub, WELCOME } from './stub.mjs';
import { connect as connectBy } from '../sdk/session.js';
import { connect } from '../joined/signalbox.js';

const DEADLINE = { timeout: 20_000 };

async function enter(t, hub, options) {
  const session = await connect({ url: hub.url, keep: false, ...options });
  t.after(() => session.close());
  return session;
}

const settled = (session, wanted) =>
  session.state === wanted || once(session, 'state', ({ state }) => state === wanted);

/**
 * All frames of one type that the session has sent until now: what it says last is acknowledged
 * after them.
 */
async function sent(session, hub, type) {
  await session.signal('somebody', 'that is all');
  return hub.frames.filter((frame) => frame.type === type);
}

/** What the SDK has said of descriptions of that type. */
const descriptions = (hub, type) =>
  hub.frames.map(({ data }) => data?.signalbox).filter((said) => said?.description?.type === type);

const ring = (id, polite) => ({
  type: 'signal',
  seq: 1,
  from: 'bob-1',
  fromName: 'Bob',
  fromUser: 'bob',
  polite,
  data: { signalbox: { call: 'ring', id } },
});

const ENDS = {
  'cut after the welcome': ({ end }) => end(1001),
  'refused for its rate': ({ send, end }) => {
    send({ type: 'error', code: 'rate-limited' });
    end(4003);
  },
};
for (const [how, end] of Object.entries(ENDS)) {
  test(`when every connection is ${how}, pauses grow and the other carrier is tried`, DEADLINE, async (t) => {
    const brief = (welcome) => (_, line) => {
      line.send(welcome);
      end(line);
    };
    const hub = await startHub(t, { hello: brief(WELCOME), resume: brief(RESUMED) });
    await enter(t, hub);
    const attempts = await hub.until(() => hub.attempts.length > 4 && hub.attempts.slice(0, 5));
    const carriers = ['websocket', 'websocket', 'websocket', 'sse', 'websocket'];
    assert.deepEqual(attempts.map(({ carrier }) => carrier), carriers);
    const pauses = attempts.slice(1).map(({ at }, i) => at - attempts[i].at);
    // Where the other carrier gets through no better, the usual one need not wait for that.
    assert.ok(pauses[1] > 250 && pauses[2] > 1100 && pauses[3] < 1000, `pauses in ms: ${pauses}`);
  });
}

for (const [when, moment] of Object.entries({
  'pauses before the next attempt': (session) => settled(session, 'reconnecting'),
  'waits for an answer': (_, hub) => hub.frame(({ type }) => type === 'resume'),
})) {
  test(`a session that is closed while it ${when} leaves no timer`, DEADLINE, async (t) => {
    const hub = await startHub(t, { resume: () => {} });
    const session = await enter(t, hub);
    const timers = new Set(); // of the SDK's
    const { setTimeout, clearTimeout } = globalThis;
    t.after(() => Object.assign(globalThis, { setTimeout, clearTimeout }));
    globalThis.setTimeout = (run, ...rest) => {
      const timer = setTimeout((...args) => {
        timers.delete(timer);
        run(...args);
      }, ...rest);
      if (new Error().stack.split('\n')[2].includes('signalbox.js')) timers.add(timer);
      return timer;
    };
    globalThis.clearTimeout = (timer) => {
      timers.delete(timer);
      clearTimeout(timer);
    };
    hub.line.cut();
    await moment(session, hub);
    assert.equal(timers.size, 1);
    session.close();
    await new Promise(setImmediate);
    assert.equal(timers.size, 0);
  });
}

test(
  'a peer connection that the application has closed does not keep the session from resuming',
  DEADLINE,
  async (t) => {
    const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'bob')) });
    const session = await enter(t, hub);
    const room = await session.join('tea');
    room.peers.get('bob').connection.close();
    const resumed = once(session, 'resumed');
    hub.line.cut();
    await resumed;
    assert.equal(session.state, 'open');
    await session.signal('somebody', 'still here');
  },
);

test('a call that ends with its session is canceled where it still rings', DEADLINE, async (t) => {
  const hub = await startHub(t, { resume: (_, { send }) => send(EXPIRED) });
  const session = await enter(t, hub);
  hub.line.cut();
  await settled(session, 'reconnecting');
  await assert.rejects(session.call('bob'), { code: 'lost' });
  const { data } = await hub.frame(({ data }) => data?.signalbox?.call === 'ring');
  const canceled = await hub.frame(({ data }) => data?.signalbox?.call === 'cancel');
  assert.deepEqual([canceled.to, canceled.data.signalbox.id], ['@bob', data.signalbox.id]);
});

test('ICE restarts when the network is another one, and not when its speed is estimated anew', DEADLINE, async (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const network = Object.assign(new EventTarget(), { type: 'wifi' });
  Object.defineProperty(globalThis, 'navigator', { value: { connection: network }, configurable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, 'navigator', before) : delete globalThis.navigator));
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'bob', 'cem')) });
  const session = await enter(t, hub);
  const room = await session.join('tea');
  const restarts = () => [...room.peers.values()].map(({ connection }) => connection.restarts);
  for (const { connection } of room.peers.values()) pass(connection, 'connected');
  await hub.until(() => descriptions(hub, 'offer').length === 2); // before that there is nothing to restart
  for (let n = 0; n < 3; n++) network.dispatchEvent(new Event('change'));
  assert.equal((await sent(session, hub, 'ping')).length, 3, 'whether the path is still there is looked at');
  assert.deepEqual(restarts(), [0, 0]);
  network.type = 'cellular';
  network.dispatchEvent(new Event('change'));
  assert.deepEqual(restarts(), [1, 1]);
});

test('the copy of a tab that was in the back/forward cache does not take its session over', DEADLINE, async (t) => {
  const hellos = [];
  const hub = await startHub(t, {
    hello: ({ replaces }, { send }) => send({ ...WELCOME, resumeToken: `token-${hellos.push(replaces)}` }),
  });
  const session = await enter(t, hub, { keep: true });
  fire('pagehide', { persisted: true });
  fire('pageshow', { persisted: true });
  await settled(session, 'open');
  await enter(t, hub, { keep: true }); // the copy has the tab's sessionStorage
  assert.deepEqual(hellos, [undefined, 'token-1', undefined]);
});

test('nothing is said to a connection that is closing, but to the next one', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const Native = globalThis.WebSocket;
  t.after(() => { globalThis.WebSocket = Native; });
  const sockets = [];
  const vain = [];
  globalThis.WebSocket = class extends Native {
    constructor(...args) {
      super(...args);
      sockets.push(this);
    }

    send(text) {
      if (this.readyState === 1) super.send(text);
      else vain.push(text);
    }
  };
  const session = await enter(t, hub);
  Object.defineProperty(sockets.at(-1), 'readyState', { value: 2 });
  const answered = session.signal('somebody', 'there');
  hub.line.cut();
  await answered;
  assert.equal(hub.frames.filter(({ data }) => data === 'there').length, 1);
  assert.deepEqual(vain, []);
});

test('a session that a listener closes while it is rebuilt stays closed', DEADLINE, async (t) => {
  const hub = await startHub(t, { resume: (_, { send }) => send(EXPIRED) });
  const session = await enter(t, hub);
  const states = [];
  session.on('state', ({ state }) => states.push(state));
  const rung = once(session, 'call');
  hub.line.send(ring('call-1', true));
  (await rung).call.on('canceled', () => session.close());
  hub.line.cut();
  await settled(session, 'closed');
  await hub.frame(({ type }) => type === 'bye');
  assert.deepEqual(states, ['reconnecting', 'closed']);
  assert.equal(session.state, 'closed');
  await assert.rejects(session.signal('somebody', 1), { code: 'closed' });
});

test('a room that could not be joined leaves nothing', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const session = await enter(t, hub);
  const first = await session.join('tea');
  const second = session.room('tea');
  await assert.rejects(second.join(), { code: 'joined' });
  second.leave();
  assert.deepEqual(await sent(session, hub, 'leave'), []);
  assert.equal(session.rooms.get('tea'), first);
  first.leave();
  assert.equal((await sent(session, hub, 'leave')).length, 1);
});

test('who leads in a call is what the last frame of the far end says, and the other yields', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const session = await enter(t, hub);
  const rung = once(session, 'call');
  hub.line.send(ring('call-1', false));
  const { peer } = (await rung).call.accept();
  let seq = 1;
  const say = (polite, data) =>
    hub.line.send({
      type: 'signal',
      seq: ++seq,
      from: 'bob-1',
      polite,
      data: { signalbox: { call: 'peer', id: 'call-1', tag: 'far', ...data } },
    });
  const own = (type) => descriptions(hub, type);
  const offer = { description: { type: 'offer', sdp: '' }, offer: 1 };

  // Both have offered: nothing is rolled back, the connection that has nothing yet makes room.
  await hub.until(() => own('offer').length === 1);
  const first = peer.connection;
  say(true, offer);
  await hub.until(() => own('answer').length === 1);
  assert.notEqual(peer.connection, first);
  assert.equal(first.signalingState, 'closed');
  assert.deepEqual(peer.connection.applied, ['offer in stable']);

  // It follows now: it asks for what it needs.
  pass(peer.connection, 'connected'); // before that, only the first offer is made
  peer.connection.addTransceiver('audio');
  const { want } = (await hub.frame(({ data }) => data?.signalbox?.want?.audio)).data.signalbox;
  assert.deepEqual(want, { after: 1, audio: 1 });
  assert.equal(own('offer').length, 1);

  // And it leads again.
  say(false, { want: { after: 1, video: 2 } });
  await hub.until(() => own('offer').length === 2);
  assert.deepEqual(own('offer')[1].offer, 2);
  const kinds = peer.connection.getTransceivers().map(({ receiver }) => receiver.track.kind);
  assert.deepEqual(kinds, ['audio', 'video', 'video']);
  const { applied } = peer.connection;
  say(false, { ...offer, offer: 3 });
  await session.ping();
  assert.equal(applied.length, 1, 'the end that leads has its way');
});

test('an end that is asked for another path asks nobody', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const session = await enter(t, hub);
  const rung = once(session, 'call');
  hub.line.send(ring('call-1', true));
  const { peer } = (await rung).call.accept();
  let seq = 1;
  const say = (polite, data) => hub.line.send({
    type: 'signal',
    seq: ++seq,
    from: 'bob-1',
    polite,
    data: { signalbox: { call: 'peer', id: 'call-1', tag: 'far', ...data } },
  });
  say(true, { description: { type: 'offer', sdp: '' }, offer: 1 });
  await hub.until(() => descriptions(hub, 'answer').length === 1);
  pass(peer.connection, 'connected');
  // The far end believes that it does not lead, and this one, too.
  say(true, { want: { after: 1, restart: true } });
  await hub.until(() => descriptions(hub, 'offer').length === 1);
  assert.deepEqual(hub.frames.filter(({ data }) => data?.signalbox?.want?.restart), []);
});

test('a restart for an end that knows nothing of restarts waits for nothing', DEADLINE, async (t) => {
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'bob')) });
  const session = await enter(t, hub);
  const { peers } = await session.join('tea');
  const { connection } = peers.get('bob');
  const offers = () => descriptions(hub, 'offer').length;
  await hub.until(() => offers() === 1);
  const data = { signalbox: { description: { type: 'answer', sdp: '' } } };
  hub.line.send({ type: 'signal', seq: 1, room: 'tea', from: 'bob', data });
  await hub.until(() => connection.signalingState === 'stable' && connection.remoteDescription);
  peers.get('bob').restartIce();
  await hub.until(() => offers() === 2);
  assert.deepEqual([connection.restarts, peers.get('bob').rebuilds], [1, 0]);
});

test('what fails is tried once more with another connection, and then has a way back', DEADLINE, async (t) => {
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'bob')) });
  const session = await enter(t, hub);
  const Native = globalThis.RTCPeerConnection;
  t.after(() => { globalThis.RTCPeerConnection = Native; });
  let broken = true;
  globalThis.RTCPeerConnection = class extends Native {
    async setLocalDescription() {
      if (broken) throw new Error('broken');
      return super.setLocalDescription();
    }
  };
  const room = session.room('tea');
  const failed = once(room, 'error');
  await room.join();
  const { error, peer } = await failed;
  assert.deepEqual([error.code, error.cause.message], ['negotiation', 'broken']);
  assert.deepEqual([peer.state, peer.rebuilds], ['failed', 1]);
  assert.deepEqual(hub.frames.filter(({ data }) => data?.signalbox?.description), []);
  broken = false;
  peer.restartIce();
  const { data } = await hub.frame(({ data }) => data?.signalbox?.description);
  assert.deepEqual([data.signalbox.link, data.signalbox.offer, peer.state, peer.rebuilds], [3, 1, 'reconnecting', 2]);
});

test('a far end that begins another connection gets one, without what is left of the former', DEADLINE, async (t) => {
  const hub = await startHub(t, {
    join: ({ room }, { send }) => send({ ...joined(room), peers: [{ id: 'bob', name: 'Bob', polite: true }] }),
  });
  const session = await enter(t, hub);
  const room = await session.join('tea');
  const peer = room.peers.get('bob');
  const first = peer.connection;
  let seq = 0;
  const say = (said) => {
    const data = { signalbox: { tag: 'far', ...said } };
    hub.line.send({ type: 'signal', seq: ++seq, room: 'tea', from: 'bob', data });
  };
  const answers = () => descriptions(hub, 'answer');
  const description = { type: 'offer', sdp: '' };
  say({ link: 1, offer: 1, description });
  await hub.until(() => answers().length === 1);
  say({ link: 1, offer: 1, description }); // it has not heard of the answer
  await hub.until(() => answers().length === 2);
  assert.deepEqual(first.applied, ['offer in stable'], 'the offer is taken once, and answered twice');
  say({ link: 2, offer: 1, description });
  say({ link: 1, offer: 2, description });
  await hub.until(() => answers().length === 3);
  await session.ping();
  assert.deepEqual(answers().map(({ link, offer }) => [link, offer]), [[1, 1], [1, 1], [2, 1]]);
  assert.equal(first.signalingState, 'closed');
  assert.deepEqual(peer.connection.applied, ['offer in stable']);
  assert.equal(room.peers.get('bob'), peer);
  assert.equal(peer.rebuilds, 1);
});

test('an end with nothing to offer offers nothing, whatever the application calls', DEADLINE, async (t) => {
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'bob')) });
  const session = await enter(t, hub);
  const room = session.room('tea', { dataChannel: false });
  room.on('peer', ({ peer }) => {
    peer.restartIce();
    peer.connection.onnegotiationneeded(); // as setConfiguration and restartIce make browsers do
  });
  await room.join();
  fire('online');
  await session.refreshIce();
  await session.ping();
  assert.deepEqual(hub.frames.filter(({ data }) => data?.signalbox), []);
  hub.line.send({
    type: 'signal', seq: 1, room: 'tea', from: 'bob', data: { signalbox: { tag: 'far', want: { after: 0, audio: 1 } } },
  });
  await hub.frame(({ data }) => data?.signalbox?.description?.type === 'offer');
});

test('S6: what the hub refuses for its rate is said again, and a full room keeps within it', DEADLINE, async (t) => {
  const others = Array.from({ length: 150 }, (_, n) => `bob-${n}`);
  let refuse = 5;
  const times = []; // when signals are sent; a busy machine may read many of them at once
  const { send: sendNow } = WebSocket.prototype;
  t.mock.method(WebSocket.prototype, 'send', function send(text) {
    if (JSON.parse(text).type === 'signal') times.push(performance.now());
    sendNow.call(this, text);
  });
  const taken = [];
  const hub = await startHub(t, {
    join: ({ room }, { send }) => send(joined(room, ...others)),
    signal: ({ id, to, data }, { send }) => {
      if (data.signalbox && refuse-- > 0) send({ type: 'error', code: 'rate-limited', id });
      else if (data.signalbox?.description) taken.push(to);
    },
  });
  const session = await enter(t, hub);
  const errors = [];
  session.on('error', ({ error }) => errors.push(error.code));
  await session.join('tea');
  await hub.until(() => taken.length === others.length);
  assert.deepEqual(taken.sort(), others.sort());
  assert.deepEqual(errors, []);
  const most = Math.max(...times.map((at) => times.filter((other) => other >= at && other < at + 1000).length));
  assert.ok(most <= 100, `${most} frames in a second`);
});

test('S6: nobody waits for a peer that reads too slowly, for which the hub refuses words', DEADLINE, async (t) => {
  const said = []; // to whom, in order
  const hub = await startHub(t, {
    join: ({ room }, { send }) => send(joined(room, 'bob')),
    signal: ({ id, to, data }, { send }) => {
      if (!data.signalbox) return;
      said.push(to);
      if (to !== 'bob') return;
      send({ type: 'error', code: 'rate-limited', id });
      if (said.length === 1) {
        send({ type: 'peer-joined', seq: 1, room: 'tea', peer: { id: 'cem', name: 'Cem', polite: false } });
      }
    },
  });
  const session = await enter(t, hub);
  await session.join('tea');
  await hub.until(() => said.filter((to) => to === 'bob').length > 1);
  assert.deepEqual(said.slice(0, 2), ['bob', 'cem']);
});

test('what the hub refuses is said again before what came after it, which is said again, too', DEADLINE, async (t) => {
  let refuse = 0;
  const said = [];
  const hub = await startHub(t, {
    signal: ({ id, data }, { send }) => {
      if (refuse-- > 0) send({ type: 'error', code: 'rate-limited', id });
      else said.push(data);
    },
  });
  const session = await enter(t, hub);
  refuse = 1;
  for (let n = 1; n <= 5; n++) session._post({ type: 'signal', to: 'bob', data: n });
  await hub.until(() => said.length === 4);
  for (let n = 6; n <= 7; n++) session._post({ type: 'signal', to: 'bob', data: n });
  session._post({ type: 'signal', to: 'cem', data: 'nobody waits' });
  await hub.until(() => said.at(-1) === 7);
  assert.deepEqual(said, [2, 3, 4, 5, 'nobody waits', 1, 2, 3, 4, 5, 6, 7]);
  refuse = 1;
  session._post({ type: 'signal', to: 'bob', data: 8 });
  await hub.until(() => said.at(-1) === 8);
  assert.equal(said.filter((data) => data === 7).length, 1, 'what was taken is not said again');
});

test("S6: a call's words have their place, however much an application says without a line", DEADLINE, async (t) => {
  let resume;
  const hub = await startHub(t, { resume: (_, { send }) => { resume = () => send(RESUMED); } });
  const session = await enter(t, hub);
  const rung = once(session, 'call');
  hub.line.send(ring('call-1', false));
  const { call } = await rung;
  hub.line.cut();
  await settled(session, 'reconnecting');
  const waiting = Array.from({ length: 256 }, (_, n) => session.signal('somebody', n));
  call.decline('busy');
  await hub.until(() => resume);
  resume();
  const { data } = await hub.frame(({ data }) => data?.signalbox?.call === 'decline');
  assert.equal(data.signalbox.reason, 'busy');
  await Promise.all(waiting);
});

test('S6: candidates that overtake their description, which the hub had refused, are not lost', DEADLINE, async (t) => {
  const hub = await startHub(t, {
    join: ({ room }, { send }) => send({ ...joined(room), peers: [{ id: 'bob', name: 'Bob', polite: true }] }),
  });
  const session = await enter(t, hub);
  const room = await session.join('tea');
  const { connection } = room.peers.get('bob');
  let seq = 0;
  const say = (said) => {
    const data = { signalbox: { tag: 'far', link: 1, ...said } };
    hub.line.send({ type: 'signal', seq: ++seq, room: 'tea', from: 'bob', data });
  };
  say({ candidates: [{ candidate: 'early' }] });
  say({ offer: 1, description: { type: 'offer', sdp: '' } });
  say({ candidates: [{ candidate: 'late' }] });
  await hub.until(() => connection.candidates.length === 2);
  assert.deepEqual(connection.candidates.map(({ candidate }) => candidate), ['early', 'late']);
});

test('S15: a tab that is duplicated, in the lobby or in a room, is a peer of its own', DEADLINE, async () => {
  const url = 'https://box.example.org/signal';
  const key = `signalbox.v1 ${url}`;
  sessionStorage.setItem(key, 'token'); // what the page before has left
  const page = await import('../sdk/keep.js?page');
  assert.equal(sessionStorage.getItem(key), null, 'a copy of the tab, made in the lobby, has nothing');
  const copy = await import('../sdk/keep.js?copy');
  fire('pagehide'); // it is loaded again, in the lobby still
  assert.equal(sessionStorage.getItem(key), 'token');
  fire('pageshow');
  assert.equal(sessionStorage.getItem(key), null);
  assert.deepEqual([page.takeToken(url), copy.takeToken(url)], ['token', undefined]);
  fire('pagehide');
  assert.equal(sessionStorage.getItem(key), null, 'it was taken');
});

test('S13: a hub that is not reached is told apart from one that refuses, and from no hub', DEADLINE, async (t) => {
  let status;
  const server = createServer((_, response) => response.writeHead(status).end());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}/signal`;
  for (const [answer, code] of [
    [400, 'unreachable'], // it is a hub's
    [403, 'origin-refused'],
    [404, 'no-hub'],
    [405, 'no-hub'],
    [200, 'no-hub'],
    [429, 'unreachable'],
    [502, 'unreachable'],
  ]) {
    status = answer;
    await assert.rejects(connect({ url, keep: false, retries: 0 }), { code }, `${answer}`);
  }
  server.close();
  server.closeAllConnections?.();
  await assert.rejects(connect({ url, keep: false, retries: 0 }), { code: 'unreachable' });
});

test('S14: over HTTP/1.1, streams leave connections to speak by, and the state has a name', DEADLINE, async (t) => {
  const held = new Set();
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const locks = { // of all tabs
    async request(name, { ifAvailable }, hold) {
      assert.ok(ifAvailable);
      if (held.has(name)) return hold(null);
      held.add(name);
      await hold({ name });
      held.delete(name);
    },
  };
  Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, 'navigator', before) : delete globalThis.navigator));
  const streams = [];
  const Native = globalThis.EventSource;
  t.after(() => { globalThis.EventSource = Native; });
  globalThis.EventSource = class {
    constructor() {
      streams.push(this);
    }

    addEventListener() {}

    close() {}
  };
  const tab = () => {
    const carrier = { ended: null };
    carrier.stream = new CARRIERS.sse('http://127.0.0.1:1/signal', {
      open() {}, frame() {}, end: (_, error) => { carrier.ended = error?.code; }, seen: () => 0,
    });
    return carrier;
  };
  const tabs = Array.from({ length: 6 }, tab);
  while (!tabs.at(-1).ended) await new Promise(setImmediate);
  assert.equal(streams.length, 4);
  assert.deepEqual(tabs.map(({ ended }) => ended), [null, null, null, null, 'too-many-tabs', 'too-many-tabs']);
  for (const { stream } of tabs) stream.close();
  await new Promise(setImmediate);
  const next = tab();
  await new Promise(setImmediate);
  assert.deepEqual([streams.length, next.ended], [5, null]);
  next.stream.close();
  await new Promise(setImmediate);
  const { getEntries } = performance;
  t.after(() => { performance.getEntries = getEntries; });
  performance.getEntries = () => [{ name: 'http://127.0.0.1:1/', nextHopProtocol: 'h2' }];
  const more = Array.from({ length: 6 }, tab);
  while (streams.length < 11) await new Promise(setImmediate);
  assert.deepEqual(more.map(({ ended }) => ended), Array(6).fill(null), 'over HTTP/2 there are enough');
  for (const { stream } of more) stream.close();
});

test('S5: without WebRTC there is a session, but no room and no call, and the error says why', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const session = await enter(t, hub);
  const Native = globalThis.RTCPeerConnection;
  t.after(() => { globalThis.RTCPeerConnection = Native; });
  const refuses = class { constructor() { throw new Error('policy'); } };
  for (const none of [undefined, refuses]) {
    globalThis.RTCPeerConnection = none;
    await assert.rejects(session.join('tea'), { code: 'no-webrtc' });
    await assert.rejects(session.call('bob'), { code: 'no-webrtc' });
    assert.deepEqual([session.rooms.size, session.calls.size, session.state], [0, 0, 'open']);
  }
  const rung = once(session, 'call');
  hub.line.send(ring('call-1', false));
  const { call } = await rung;
  assert.throws(() => call.accept(), { code: 'no-webrtc' });
  call.decline('no-webrtc');
  await session.signal('somebody', 'still here');
  assert.deepEqual((await sent(session, hub, 'join')), []);
});

test("an application's own signals pass, whatever they are called", DEADLINE, async (t) => {
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'bob')) });
  const session = await enter(t, hub);
  await session.join('tea');
  const got = [];
  session.on('signal', ({ data }) => got.push(data));
  const all = [
    { path: '/a' }, { restart: true }, { description: 'a cat' }, { candidate: null }, { call: 'x', id: 'y' }, null, 1,
  ];
  all.forEach((data, i) => {
    hub.line.send({ type: 'signal', seq: i + 1, room: i % 2 ? 'tea' : undefined, from: 'bob', data });
  });
  await session.ping();
  assert.deepEqual(got, all);
});

for (const addressChanged of [false, true]) {
  test(
    `what had no place in the queue is made good once the session has resumed\
${addressChanged ? ' from another address' : ''}`,
    DEADLINE,
    async (t) => {
      let resume;
      const hub = await startHub(t, {
        join: ({ room }, { send }) => send(joined(room, `bob-of-${room}`)),
        resume: (_, { send }) => {
          resume = () => send({ ...RESUMED, rooms: ['tea', 'cake', 'by hand'], addressChanged });
        },
      });
      const session = await enter(t, hub);
      const [tea, cake] = await Promise.all([
        session.join('tea'),
        session.join('cake'),
        session.request({ type: 'join', room: 'by hand' }),
      ]);
      const { connection } = cake.peers.get('bob-of-cake');
      const offers = () =>
        hub.frames.filter(({ data, room }) => data?.signalbox?.description?.type === 'offer' && room === 'cake');
      await hub.until(() => offers().length === 1);
      hub.line.send({
        type: 'signal',
        seq: 1,
        room: 'cake',
        from: 'bob-of-cake',
        data: { signalbox: { description: { type: 'answer', sdp: '' } } },
      });
      await session.ping(); // a word after the answer: that has come
      assert.equal(connection.signalingState, 'stable');
      pass(connection, 'connected');

      hub.line.cut();
      await settled(session, 'reconnecting');
      const waiting = Array.from({ length: 256 }, (_, n) => session.signal('somebody', n));
      await assert.rejects(session.signal('somebody', 'too many'), { code: 'offline' });
      tea.leave();
      connection.restartIce();
      await hub.until(() => resume && connection.signalingState === 'have-local-offer');
      resume();
      await Promise.all(waiting);
      assert.deepEqual(
        (await sent(session, hub, 'leave')).map(({ room }) => room),
        ['tea'],
      );
      assert.equal(offers().length, 2);
    },
  );
}

test(
  'a room that the application has joined by a request of its own is not left when the session resumes',
  DEADLINE,
  async (t) => {
    const hub = await startHub(t, { resume: (_, { send }) => send({ ...RESUMED, rooms: ['tea'] }) });
    const session = await enter(t, hub);
    await session.request({ type: 'join', room: 'tea' });
    const resumed = once(session, 'resumed');
    hub.line.cut();
    await resumed;
    assert.deepEqual(await sent(session, hub, 'leave'), []);
  },
);

test('a listener that leaves the room while it fills leaves no peer connection behind', DEADLINE, async (t) => {
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'bob', 'cem', 'dan')) });
  const session = await enter(t, hub);
  const room = session.room('tea');
  const met = [];
  room.on('peer', ({ peer }) => {
    met.push(peer);
    room.leave();
  });
  await assert.rejects(room.join(), { code: 'closed' });
  assert.deepEqual(met.map(({ id, state }) => [id, state]), [['bob', 'closed']]);
  assert.equal(room.peers.size, 0);
});

test('a call that is hung up when its peer begins anew is over', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const session = await enter(t, hub);
  const rung = once(session, 'call');
  hub.line.send(ring('call-1', false));
  const call = (await rung).call.accept();
  call.on('left', () => call.hangup());
  const met = [];
  call.on('peer', ({ peer }) => met.push(peer));
  for (const [seq, tag] of [[2, 'first'], [3, 'second']]) {
    hub.line.send({
      type: 'signal',
      seq,
      from: 'bob-1',
      polite: false,
      data: { signalbox: { call: 'peer', id: 'call-1', tag, description: { type: 'offer', sdp: '' } } },
    });
  }
  await hub.frame(({ data }) => data?.signalbox?.call === 'end');
  await session.ping();
  assert.deepEqual(met, []);
  assert.equal(call.peers.size, 0);
});

test('a call that is hung up at the news that its peer is lost ends only once', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const session = await enter(t, hub);
  const rung = once(session, 'call');
  hub.line.send(ring('call-1', true));
  const call = (await rung).call.accept();
  const closed = [];
  call.on('closed', (detail) => closed.push(detail));
  call.on('presence', () => call.hangup());
  hub.line.send({ type: 'peer-left', seq: 2, peer: { id: 'bob-1', name: 'Bob', user: 'bob' }, reason: 'lost' });
  await hub.frame(({ data }) => data?.signalbox?.call === 'end');
  await session.ping();
  assert.deepEqual(closed, []);
});

test('two who call each other have their call, whatever has become of the ring that lost', DEADLINE, async (t) => {
  const hub = await startHub(t, {
    signal: ({ id, data }, { send }) => {
      if (data.signalbox.call !== 'ring') return;
      send(ring('call-of-bob', true));
      send({ type: 'error', code: 'no-such-peer', id }); // as it was when it came
    },
  });
  const session = await enter(t, hub);
  const call = await session.call('bob');
  await session.ping();
  assert.equal(call.peers.size, 1);
});

test(
  'an answer that comes twice is taken once, and a broken one costs the connection, not the lead',
  DEADLINE,
  async (t) => {
    const hub = await startHub(t);
    const session = await enter(t, hub);
    const rung = once(session, 'call');
    hub.line.send(ring('call-1', false));
    const call = (await rung).call.accept();
    const { connection } = call.peer;
    const failed = [];
    call.on('error', ({ error }) => failed.push(error.code));
    let seq = 1;
    const say = (type) =>
      hub.line.send({
        type: 'signal',
        seq: ++seq,
        from: 'bob-1',
        polite: false,
        data: { signalbox: { call: 'peer', id: 'call-1', description: { type, sdp: '' } } },
      });
    const offers = () => hub.frames.filter(({ data }) => data?.signalbox?.description?.type === 'offer').length;
    await hub.until(() => offers() === 1);
    say('answer');
    say('answer');
    await session.ping();
    assert.deepEqual(connection.applied, ['answer in have-local-offer']);
    assert.deepEqual(failed, []);

    pass(connection, 'connected');
    connection.restartIce();
    await hub.until(() => offers() === 2);
    connection.setRemoteDescription = async () => {
      throw new Error('broken');
    };
    say('answer');
    await hub.until(() => offers() === 3);
    say('offer');
    await session.ping();
    assert.equal(connection.signalingState, 'closed');
    assert.deepEqual([call.peer.connection.applied, call.peer.rebuilds, failed], [[], 1, []]);
  },
);

test('a room that could not be joined a second time keeps no peers', DEADLINE, async (t) => {
  let joins = 0;
  const hub = await startHub(t, {
    join: ({ room, id }, line) => {
      if (++joins === 2) return line.send({ type: 'error', code: 'room-full', id });
      line.send(joined(room, 'bob'));
      line.cut();
    },
    resume: (_, { send }) => send(EXPIRED),
  });
  const session = await enter(t, hub);
  const room = session.room('tea');
  const met = once(room, 'peer');
  await assert.rejects(room.join(), { code: 'room-full' });
  assert.equal((await met).peer.state, 'closed');
  assert.equal(room.peers.size, 0);
});

test('a room that may not be joined yet, where many come back, is joined later', DEADLINE, async (t) => {
  let joins = 0;
  const hub = await startHub(t, {
    join: ({ room, id }, { send }) => {
      send(++joins === 2 ? { type: 'error', code: 'rate-limited', id } : joined(room, 'bob'));
    },
    resume: (_, { send }) => send(EXPIRED),
  });
  const session = await enter(t, hub);
  const room = await session.join('tea');
  const peer = room.peers.get('bob');
  const rejoined = once(room, 'rejoined');
  hub.line.cut();
  await rejoined;
  assert.deepEqual([joins, room.peers.get('bob') === peer], [3, true]);
});

test('a call that is settled no longer listens to its abort signal', DEADLINE, async (t) => {
  const hub = await startHub(t, { signal: ({ id }, { send }) => send({ type: 'error', code: 'no-such-peer', id }) });
  const session = await enter(t, hub);
  const { signal } = new AbortController();
  let listening = 0;
  for (const [name, by] of [['addEventListener', 1], ['removeEventListener', -1]]) {
    signal[name] = (...details) => {
      listening += by;
      AbortSignal.prototype[name].apply(signal, details);
    };
  }
  await assert.rejects(session.call('bob', { signal }), { code: 'no-such-peer' });
  assert.equal(listening, 0);
});

test('a token that is refused without a word is asked for again', DEADLINE, async (t) => {
  const hub = await startHub(t, { resume: (_, { send }) => send(EXPIRED) });
  let asked = 0;
  const session = await enter(t, hub, { token: () => (++asked === 2 ? Promise.reject() : 'pass') });
  hub.line.cut();
  await settled(session, 'reconnecting');
  await settled(session, 'open');
  assert.equal(asked, 3);
  await assert.rejects(
    connect({ url: hub.url, keep: false, token: () => Promise.reject() }),
    (error) => error === undefined,
  );
});

test('in a new session, an end of a call that can call the other goes on trying', { timeout: 20_000 }, async (t) => {
  let tries = 0;
  const hub = await startHub(t, {
    resume: (_, { send }) => send(EXPIRED),
    signal: ({ id, to, data }, { send }) => {
      if (data.signalbox?.call !== 'back' || (to === '@bob' && ++tries === 3)) return;
      send({ type: 'error', code: 'no-such-peer', id });
    },
  });
  const session = await enter(t, hub);
  const calls = [];
  session.on('call', ({ call }) => calls.push(call.accept()));
  hub.line.send(ring('call-1', true));
  hub.line.send({ ...ring('call-2', true), seq: 2, from: 'nobody', fromUser: undefined });
  await hub.until(() => calls.length === 2);
  for (const { peer } of calls) peer.connection.connectionState = 'connected';
  const news = [];
  for (const call of calls) call.on('presence', ({ peer, present }) => news.push([peer.id, present]));
  hub.line.cut();
  await once(calls[0], 'presence', ({ present }) => present);
  assert.deepEqual(news, [['bob-1', false], ['nobody', false], ['bob-1', true]]);
  assert.deepEqual(
    (await sent(session, hub, 'signal')).filter(({ data }) => data.signalbox?.call === 'back').map(({ to }) => to),
    ['@bob', 'nobody', '@bob', '@bob'],
  );
});

test('a peer that takes no more text does not keep the others from theirs', DEADLINE, async (t) => {
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'bob', 'cem')) });
  const session = await enter(t, hub);
  const room = await session.join('tea');
  const [bob, cem] = room.peers.values();
  const got = [];
  Object.assign(bob.channel, {
    readyState: 'open',
    send() {
      throw new DOMException('the queue is full', 'OperationError');
    },
  });
  Object.assign(cem.channel, { readyState: 'open', send: (text) => got.push(text) });
  assert.equal(room.send('tea is ready'), 1);
  assert.deepEqual(got, ['tea is ready']);
  assert.deepEqual([bob.send('again'), cem.send('again')], [false, true]);
});

test('HUB7: of the resume tokens that the hub gives, the newest is used', DEADLINE, async (t) => {
  let expired = false;
  const hub = await startHub(t, {
    resume: (_, { send }) => send(expired ? EXPIRED : { ...RESUMED, resumeToken: 'second' }),
  });
  const session = await enter(t, hub);
  const told = [];
  session.on('token', (frame) => told.push(frame));
  const back = async () => {
    const resumed = once(session, 'resumed');
    hub.line.cut();
    await resumed;
  };
  await back();
  await back();
  hub.line.send({ type: 'token', resumeToken: 'third' });
  await session.ping();
  expired = true;
  hub.line.cut();
  const { replaces } = await hub.frame((frame) => frame.replaces);
  assert.equal(replaces, 'third');
  const shown = hub.frames.filter(({ type }) => type === 'resume').map(({ token }) => token);
  assert.deepEqual(shown, ['token', 'second', 'third']);
  assert.deepEqual(told, [], 'the token is no event of the application');
});

test('a peer that says anything at all harms neither the session nor the other peers', DEADLINE, async (t) => {
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'mallory', 'bob')) });
  const session = await enter(t, hub);
  const room = await session.join('tea');
  const uncaught = [];
  process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  let seq = 0;
  const say = (from, said) =>
    hub.line.send({ type: 'signal', seq: ++seq, room: 'tea', from, data: { signalbox: said } });
  const odd = [
    0, 1, -1, 1.5, 1e308, '', 'text', true, [], [null], [1], {}, { toString: 1, valueOf: 1 },
    { length: 9 }, { a: { b: [] } },
  ];
  for (const value of odd) say('mallory', value);
  for (const name of ['description', 'candidates', 'path', 'want', 'streams', 'offer', 'for', 'link', 'tag']) {
    for (const value of odd) say('mallory', { [name]: value });
  }
  for (const value of odd) {
    say('mallory', { description: { type: value, sdp: value }, offer: value });
    say('mallory', { candidates: [value], want: { after: value, restart: value, audio: value, video: value } });
  }
  await session.ping();
  assert.deepEqual(uncaught, []);
  say('bob', { tag: 'b', description: { type: 'answer', sdp: '' } });
  await session.ping();
  assert.equal(room.peers.get('bob').connection.signalingState, 'stable');
});

test('the end of a call that is over does not end the next one to the same user', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const session = await enter(t, hub);
  const outcome = session.call('bob');
  outcome.catch(() => {});
  const { id } = (await hub.frame(({ data }) => data?.signalbox?.call === 'ring')).data.signalbox;
  const peer = { id: 'bob-1', name: 'Bob', user: 'bob' };
  const data = { signalbox: { call: 'end', id: 'the one before' } }; // they have hung up at once
  hub.line.send({ type: 'peer-left', seq: 1, peer, reason: 'left', data });
  hub.line.send({ ...ring(id, false), seq: 2, data: { signalbox: { call: 'accept', id } } });
  assert.equal((await outcome).peer.id, 'bob-1');
});

test('a ping is answered that is sent while the line moves back to a WebSocket', DEADLINE, async (t) => {
  const before = { ...CARRIERS };
  t.after(() => Object.assign(CARRIERS, before));
  CARRIERS.websocket = class {
    constructor() {
      throw new DOMException('no WebSocket', 'SecurityError');
    }
  };
  CARRIERS.sse = class extends before.websocket {}; // to the same hub, as far as a line is concerned
  let resume;
  const hub = await startHub(t, { resume: (_, { send }) => { resume = () => send(RESUMED); } });
  const session = await connectBy({ url: hub.url, keep: false });
  t.after(() => session.close());
  assert.equal(session.carrier, 'sse');
  CARRIERS.websocket = before.websocket;
  fire('online');
  await hub.until(() => resume);
  const answer = session.ping();
  resume();
  assert.ok(await answer < 5000);
  assert.equal(session.carrier, 'websocket');
});
