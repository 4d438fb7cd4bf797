// What applications ask of peers and their connections, as far as it needs no browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { once } from './browser.mjs';
import { joined, pass, RESUMED, startHub, WELCOME } from './stub.mjs';
import { connect } from '../static/signalbox.js';

const DEADLINE = { timeout: 20_000 };

let ids = 0;
globalThis.MediaStream = class {
  id = `stream-${++ids}`;
  tracks = [];

  constructor(tracks = []) {
    this.tracks = [...tracks];
  }

  getTracks() {
    return this.tracks;
  }

  addTrack(track) {
    this.tracks.push(track);
  }

  removeTrack(track) {
    this.tracks = this.tracks.filter((each) => each !== track);
  }
};

// A room in which there is Bob, towards whom this end is as polite as `polite` says.
async function enter(t, { options, room: roomOptions, parts, name = 'tea' } = {}) {
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'bob')), ...parts });
  const session = await connect({ url: hub.url, keep: false, ...options });
  t.after(() => session.close());
  const room = await session.join(name, roomOptions);
  return { hub, session, room, peer: room.peers.get('bob'), pc: room.peers.get('bob').connection };
}

let seq = 1; // that of `joined`
const hear = (hub, said) => hub.line.send({
  type: 'signal',
  seq: ++seq,
  from: 'bob',
  fromName: 'Bob',
  room: 'tea',
  data: { signalbox: { tag: 'b', link: 1, ...said } },
});

const saidOf = (field) => ({ data }) => data?.signalbox?.[field];

test('a room is what the hub is told, in one form of its letters', DEADLINE, async (t) => {
  const { session, hub, room } = await enter(t, { name: 'cafe\u0301' });
  assert.equal(room.name, 'caf\u00e9');
  assert.deepEqual([...session.rooms.keys()], ['caf\u00e9']);
  assert.equal(hub.frames.find(({ type }) => type === 'join').room, 'caf\u00e9');
});

test('own ICE servers and settings come to those of the hub', DEADLINE, async (t) => {
  const hubs = { urls: ['stun:hub'] };
  const welcome = (_, { send }) => send({ ...WELCOME, iceServers: [hubs] });
  const fresh = ({ id }, { send }) => send({ type: 'ice', seq: 2, iceServers: [hubs, hubs], iceExpiresAt: 0, id });
  const parts = { hello: welcome, ice: fresh };
  const [own, room] = [{ urls: 'turn:own' }, { urls: 'turn:room' }];

  const plain = await enter(t, { parts });
  assert.deepEqual(plain.pc.configuration, { bundlePolicy: 'max-bundle', iceServers: [hubs] });

  const options = { configuration: { iceServers: [own], bundlePolicy: 'balanced', iceCandidatePoolSize: 2 } };
  const ours = await enter(t, { parts, options, room: { relayOnly: true } });
  assert.deepEqual(ours.pc.configuration, {
    bundlePolicy: 'balanced', iceCandidatePoolSize: 2, iceTransportPolicy: 'relay', iceServers: [hubs, own],
  });
  await ours.session.refreshIce();
  assert.deepEqual(ours.pc.configuration.iceServers, [hubs, hubs, own]);

  const theirs = await enter(t, { parts, options, room: { configuration: { iceServers: [room] } } });
  assert.deepEqual(theirs.pc.configuration, {
    bundlePolicy: 'balanced', iceCandidatePoolSize: 2, iceServers: [hubs, room],
  });
});

test('an end that is led offers nothing, whatever it needs', DEADLINE, async (t) => {
  const { hub, room, pc } = await enter(t, {
    parts: {
      join: ({ room: name }, { send }) => {
        const frame = joined(name, 'bob');
        frame.peers[0].polite = true;
        send(frame);
      },
    },
  });
  hear(hub, { tag: undefined, leads: true });
  hear(hub, { tag: undefined, leads: true, link: 1, description: { type: 'offer', sdp: 'far' } });
  const { data } = await hub.frame(saidOf('description'));
  assert.equal(data.signalbox.description.type, 'answer');
  pc.onnegotiationneeded();
  await room.replaceTrack('audio', track('audio'));
  pc.onnegotiationneeded();
  // Another path takes another connection, once this one is broken.
  room.peers.get('bob').restartIce();
  pass(pc, 'failed');
  await hub.frame(({ data: said }) => said?.signalbox?.want?.anew);
  const offers = hub.frames.filter(({ data: said }) => said?.signalbox?.description?.type === 'offer');
  assert.equal(offers.length, 0);
});

test('what a description says passes through the application', DEADLINE, async (t) => {
  const seen = [];
  const sdpTransform = (sdp, { peer, type }) => {
    seen.push([sdp, peer.id, type]);
    return 'changed';
  };
  const { hub } = await enter(t, { room: { sdpTransform } });
  const offer = await hub.frame(saidOf('description'));
  assert.deepEqual(offer.data.signalbox.description, { type: 'offer', sdp: 'changed' });
  assert.deepEqual(seen, [['', 'bob', 'offer']]);
});

const track = (kind) => ({ kind, id: `${kind}-${++ids}` });

test('streams that have a name stay apart', DEADLINE, async (t) => {
  const [voice, face, screen, sound] = ['audio', 'video', 'video', 'audio'].map(track);
  const prepared = [];
  const prepare = ({ peer, sender, receiver, kind, name }) => {
    prepared.push(`${peer.id} ${kind} ${name} ${sender ? 'out' : ''}${receiver ? 'in' : ''}`);
  };
  const stream = new MediaStream([voice, face]);
  const { hub, room, peer, pc } = await enter(t, {
    room: { stream, streams: { screen: new MediaStream([screen]) }, prepare },
  });
  assert.deepEqual(prepared, [
    'bob audio  out', 'bob audio undefined in', 'bob video  out', 'bob video undefined in', 'bob video screen out',
    'bob video undefined in', // a receiver is there as soon as the sender is
  ]);
  const senders = pc.getTransceivers().map(({ sender }) => sender);
  assert.deepEqual(senders.map((sender) => sender.track), [voice, face, screen]);
  const [own, , named] = senders.map(({ streams: [{ id }] }) => id);
  assert.equal(own, stream.id);
  assert.notEqual(named, own);
  const offer = await hub.frame(saidOf('description'));
  assert.deepEqual(offer.data.signalbox.streams, { screen: named });

  await room.replaceTrack('audio', sound, 'screen');
  await room.replaceTrack('video', null, 'screen');
  await room.replaceTrack('audio', null, 'screen');
  const last = await hub.frame(({ data }) => data?.signalbox?.streams && !('screen' in data.signalbox.streams));
  assert.deepEqual(last.data.signalbox.streams, {});
  assert.deepEqual(pc.getTransceivers().map(({ sender }) => sender.track), [voice, face, null, null]);
  await room.replaceTrack('video', screen, 'screen');
  assert.equal(pc.getTransceivers()[2].sender.track, screen); // the same place again
  assert.equal(pc.getTransceivers().length, 4);

  const heard = [];
  peer.on('stream', ({ name, stream: one }) => heard.push(`${name} ${Boolean(one)}`));
  const shown = once(room, 'stream');
  hear(hub, { streams: { slides: 'far-2' } });
  await shown;
  room.on('track', ({ name, stream: one, track: { kind } }) => {
    heard.push(`${kind} in ${name}`);
    assert.equal(one, name ? peer.streams.get(name) : peer.stream);
  });
  pc.ontrack({ track: track('video'), receiver: {}, streams: [{ id: 'far-2' }] });
  pc.ontrack({ track: track('video'), receiver: {}, streams: [{ id: 'far-1' }] });
  pc.ontrack({ track: track('audio'), receiver: {}, streams: [] });
  assert.deepEqual(prepared.slice(6), ['bob audio screen out', 'bob audio undefined in']);
  hear(hub, { want: { after: 0, video: 4 } });
  await hub.until(() => prepared.length === 10);
  assert.deepEqual(prepared.slice(8), ['bob video undefined in', 'bob video undefined in']);
  const gone = once(room, 'stream');
  const slides = peer.streams.get('slides');
  hear(hub, { streams: {} });
  await gone;
  const again = once(room, 'stream');
  hear(hub, { streams: { slides: 'far-2' } });
  assert.equal((await again).stream, slides); // with its tracks
  assert.deepEqual(heard, [
    'slides true', 'video in slides', 'video in ', 'audio in ', 'slides false', 'slides true',
  ]);
  peer.rebuild();
  assert.deepEqual([slides.getTracks(), peer.stream.getTracks()], [[], []]);
});

test('what can not be set up is not sent', DEADLINE, async (t) => {
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  t.after(() => delete globalThis.reportError);
  const prepare = ({ kind, sender }) => {
    if (sender && kind === 'video') throw new Error('no encryption');
  };
  const { pc } = await enter(t, { room: { stream: new MediaStream([track('audio'), track('video')]), prepare } });
  assert.deepEqual(pc.getTransceivers().map(({ direction }) => direction), ['sendrecv', 'inactive']);
  assert.deepEqual(reported, ['no encryption']);
});

test('text and bytes are sent, and nothing else is taken for them', DEADLINE, async (t) => {
  const { room, peer } = await enter(t);
  const sent = [];
  Object.assign(peer.channel, { readyState: 'open', send: (data) => sent.push(data) });
  const bytes = new Uint8Array([1]);
  for (const data of ['', 'text', bytes, bytes.buffer, new DataView(bytes.buffer)]) {
    assert.equal(room.send(data), 1);
    assert.equal(peer.send(data), true);
  }
  assert.equal(sent.length, 10);
  for (const data of [{}, { a: 1 }, [], null, undefined, 0, false, 1n, NaN, new Map(), () => {}, Symbol('s')]) {
    assert.throws(() => room.send(data), { code: 'bad-data' });
    assert.throws(() => peer.send(data), { code: 'bad-data' });
  }
  assert.equal(sent.length, 10);
  assert.equal(peer.channel.binaryType, 'arraybuffer');
});

test('what a signal can not say is refused, and what it can arrives as it was', DEADLINE, async (t) => {
  const { hub, room, session } = await enter(t);
  for (const data of [{}, [], null, 0, '', false, { a: { b: [] } }]) {
    await room.broadcast(data);
    assert.deepEqual(hub.frames.findLast(({ type }) => type === 'broadcast').data, data);
  }
  const circle = {};
  circle.self = circle;
  const before = hub.frames.length;
  for (const data of [undefined, () => {}, Symbol('s'), 1n, circle]) {
    await assert.rejects(room.broadcast(data), { code: 'bad-data' });
    await assert.rejects(session.signal('bob', data), { code: 'bad-data' });
  }
  assert.equal(hub.frames.length, before);
});

// In Firefox, a track that is replaced while the connection ends is never done.
test('a state is told once', DEADLINE, async (t) => {
  const { peer, pc } = await enter(t);
  const states = [];
  peer.on('state', ({ state }) => states.push(state));
  for (const state of ['connecting', 'connected', 'disconnected', 'connected']) {
    pass(pc, state);
  }
  assert.deepEqual(states, ['connected', 'reconnecting', 'connected']);
});

test('who is out of a room without a peer connection is told, and why', DEADLINE, async (t) => {
  const hub = await startHub(t);
  const session = await connect({ url: hub.url, keep: false });
  t.after(() => session.close());
  await session.request({ type: 'join', room: 'tea' });
  const left = once(session, 'left');
  hub.line.send({ type: 'left', room: 'tea', reason: 'kicked', seq: ++seq });
  const { room, reason } = await left;
  assert.deepEqual([room, reason], ['tea', 'kicked']);
});

test('nobody waits for a connection that has ended', DEADLINE, async (t) => {
  const { room, peer, pc } = await enter(t, { room: { stream: new MediaStream([track('video')]) } });
  pc.getTransceivers()[0].sender.replaceTrack = () => new Promise(() => {});
  pc.getStats = () => new Promise(() => {});
  const waits = [room.replaceTrack('video', null), peer.path()];
  room.leave();
  assert.deepEqual(await Promise.all(waits), [undefined, null]);
});

// Two Firefoxes lose what comes after such a place.
test('what is sent no more before it was agreed upon keeps no place', DEADLINE, async (t) => {
  const { hub, room, pc } = await enter(t);
  const camera = track('video');
  const places = () => pc.getTransceivers().map(({ direction, sender }) => `${direction} ${sender.track?.id}`);
  await room.replaceTrack('video', camera);
  await room.replaceTrack('video', null);
  assert.deepEqual(places(), ['inactive undefined']);
  await room.replaceTrack('video', camera);
  await hub.frame(saidOf('description'));
  await room.replaceTrack('video', null);
  assert.deepEqual(places(), ['sendrecv undefined']); // it may come back
});

test('what was needed, then not, and then again, is asked for again', DEADLINE, async (t) => {
  const bob = { id: 'bob', name: 'Bob', polite: true };
  const parts = { join: ({ room }, { send }) => send({ ...joined(room), peers: [bob] }) };
  const camera = track('video');
  const { hub, room, pc } = await enter(t, { parts, room: { stream: new MediaStream([camera]) } });
  await hub.frame(saidOf('want'));
  await room.replaceTrack('video', null);
  hear(hub, { description: { type: 'offer', sdp: '' }, offer: 1 });
  await hub.frame(saidOf('description'));
  await room.replaceTrack('video', camera);
  const again = await hub.frame(({ data }) => data?.signalbox?.want?.after === 1);
  assert.equal(again.data.signalbox.want.video, 1);
  assert.equal(pc.getTransceivers().length, 1);
});

// No offer would have it, and each would be followed by a question for one place more.
test('no place is asked for that was given up before it was agreed upon', DEADLINE, async (t) => {
  const bob = { id: 'bob', name: 'Bob', polite: true };
  const parts = { join: ({ room }, { send }) => send({ ...joined(room), peers: [bob] }) };
  const { hub, room } = await enter(t, { parts, room: { stream: new MediaStream([track('video')]) } });
  const first = await hub.frame(saidOf('want'));
  assert.deepEqual(first.data.signalbox.want, { after: 0, video: 1 });
  await room.replaceTrack('video', null);
  await room.replaceTrack('audio', track('audio'));
  const second = await hub.frame(({ data }) => data?.signalbox?.want?.audio);
  assert.deepEqual(second.data.signalbox.want, { after: 0, audio: 1 });
});

// In Firefox, the first would send nothing when it finds a path after all.
test('a connection that fails before it was there, or has lost its keys, is replaced', DEADLINE, async (t) => {
  for (const [ice, states, rebuilds] of [
    ['failed', ['connecting', 'failed'], 1], ['failed', ['connected', 'failed'], 0],
    ['connected', ['connected', 'failed'], 1],
  ]) {
    const { session, peer, pc } = await enter(t, { room: { stream: new MediaStream([track('video')]) } });
    for (const state of states) {
      pc.iceConnectionState = ice;
      pass(pc, state);
    }
    await session.ping();
    assert.deepEqual([peer.rebuilds, peer.connection === pc], [rebuilds, !rebuilds]);
  }
});

// To ask for it would take one word more, of which each may be late.
test('a polite end whose connection fails offers another one itself', DEADLINE, async (t) => {
  const bob = { id: 'bob', name: 'Bob', polite: true };
  const parts = { join: ({ room }, { send }) => send({ ...joined(room), peers: [bob] }) };
  const { hub, peer, pc } = await enter(t, { parts });
  hear(hub, { description: { type: 'offer', sdp: '' }, offer: 1 });
  await hub.frame(saidOf('description'));
  pc.iceConnectionState = 'failed';
  pass(pc, 'failed');
  const offered = (link) => hub.until(() => hub.frames.map(({ data }) => data?.signalbox)
    .find((said) => said?.link === link && said.description));
  assert.deepEqual((await offered(2)).description.type, 'offer');
  // Bob, who is impolite, has begun the same one: his has its way, and nothing is rolled back.
  const second = peer.connection;
  hear(hub, { link: 2, description: { type: 'offer', sdp: '' }, offer: 1 });
  await hub.frame((frame) => saidOf('link')(frame) === 2 && saidOf('description')(frame).type === 'answer');
  assert.equal(second.signalingState, 'closed');
  assert.deepEqual(peer.connection.applied, ['offer in stable']);
});

// While a later offer waits for its answer, Firefox makes nothing of candidates.
test('until there is a path, an end makes no second offer', DEADLINE, async (t) => {
  const { hub, session, room, pc } = await enter(t);
  const offers = () => hub.frames.filter((frame) => saidOf('description')(frame));
  await hub.until(() => offers().length === 1);
  hear(hub, { description: { type: 'answer', sdp: '' }, offer: 1 });
  await hub.until(() => pc.remoteDescription);
  await room.replaceTrack('video', track('video'));
  pc.onnegotiationneeded();
  hear(hub, { want: { after: 1, audio: 1 } });
  await session.ping();
  await session.ping();
  await new Promise((resolve) => setTimeout(resolve, 50)); // what the browser asks for by itself
  assert.equal(offers().length, 1);
  pass(pc, 'connected');
  await hub.until(() => offers().length === 2);
});

// An offer that waits for its answer can't be changed, and the path that it offers may have gone.
test('to restart what has had no path yet is to replace it', DEADLINE, async (t) => {
  const { hub, peer, pc } = await enter(t);
  const offers = () => hub.frames.map(({ data }) => data?.signalbox).filter((said) => said?.description)
    .map(({ link, offer }) => [link, offer]);
  peer.restartIce(); // nothing has been looked for
  await hub.until(() => offers().length === 1);
  peer.restartIce();
  await hub.until(() => offers().length === 2);
  assert.deepEqual([offers(), pc.signalingState, peer.rebuilds], [[[1, 1], [2, 1]], 'closed', 1]);
});

// Firefox looks for another path at once where there are other servers.
test('a session that goes on leaves connections their ICE servers for half of their time', DEADLINE, async (t) => {
  let from = 0;
  let lifetime = 3600_000;
  const ice = () => ({ iceServers: [{ urls: `stun:${++from}` }], iceExpiresAt: Date.now() + lifetime });
  const parts = {
    hello: (_, { send }) => send({ ...WELCOME, ...ice() }),
    resume: (_, { send }) => send({ ...RESUMED, ...ice() }),
  };
  const { hub, session, pc } = await enter(t, { parts });
  const resume = async () => {
    const resumed = once(session, 'resumed');
    hub.line.cut();
    await resumed;
    return [session.iceServers[0].urls, pc.configuration.iceServers[0].urls];
  };
  assert.deepEqual(await resume(), ['stun:2', 'stun:1']);
  lifetime = 0; // of what comes next
  hub.line.send({ type: 'ice', seq: ++seq, ...ice() });
  await once(session, 'ice');
  assert.equal(pc.configuration.iceServers[0].urls, 'stun:3');
  assert.deepEqual(await resume(), ['stun:4', 'stun:4']);
});

// A browser may end the keys under a connection that it goes on to call connected: the far end's
// does when something is wrong there.
test('a connection that the far end has closed, but has not left, is replaced', DEADLINE, async (t) => {
  const { hub, session, peer, pc } = await enter(t);
  pass(pc, 'connected');
  peer.channel.readyState = 'closed';
  peer.channel.onclose();
  await hub.frame(({ type }) => type === 'ping');
  await session.ping();
  assert.deepEqual([peer.rebuilds, peer.connection === pc], [1, false]);
});

test('an end that has begun anew is asked again', DEADLINE, async (t) => {
  const bob = { id: 'bob', name: 'Bob', polite: true };
  const parts = { join: ({ room }, { send }) => send({ ...joined(room), peers: [bob] }) };
  const { hub, pc } = await enter(t, { parts, room: { stream: new MediaStream([track('video')]) } });
  const asked = saidOf('want');
  const { data: { signalbox: { tag } } } = await hub.frame(asked);
  hear(hub, { candidates: [] });
  hear(hub, { tag: 'c', for: tag, description: { type: 'offer', sdp: '' }, offer: 1 });
  await hub.frame(saidOf('description'));
  pc.onnegotiationneeded(); // as browsers do while there is no place for a track
  await hub.frame((frame) => asked(frame)?.after === 1 && saidOf('for')(frame) === 'c');
});

test('who looks for a path already does not begin again', DEADLINE, async (t) => {
  const { hub, session, peer, pc } = await enter(t);
  const offers = () => hub.frames.filter((frame) => saidOf('description')(frame)).length;
  await hub.until(() => offers() === 1);
  hear(hub, { description: { type: 'answer', sdp: '' }, offer: 1 });
  await hub.until(() => pc.signalingState === 'stable' && pc.remoteDescription);
  pass(pc, 'connected');
  peer.restartIce();
  await hub.until(() => offers() === 2);
  await new Promise((resolve) => setTimeout(resolve, 2100)); // the pace of restarts
  peer.restartIce();
  await session.ping();
  assert.equal(pc.restarts, 1);
});

test('a doubt is about the connection that it was about', DEADLINE, async (t) => {
  let answer;
  const parts = { ping: (_, { send }) => { answer = () => send({ type: 'pong' }); } };
  const { hub, peer, pc } = await enter(t, { parts });
  await hub.frame(saidOf('description'));
  pass(pc, 'connected');
  peer.channel.onclose();
  await hub.until(() => answer);
  hear(hub, { link: 2, description: { type: 'offer', sdp: '' }, offer: 1 });
  await hub.until(() => peer.connection !== pc && peer.connection.remoteDescription);
  answer();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(peer.rebuilds, 1);
});

test('an end that has begun anew gets the offer and the candidates of the former one', DEADLINE, async (t) => {
  const { hub, pc } = await enter(t);
  const { data: { signalbox: { tag } } } = await hub.frame(saidOf('description'));
  const offered = (to) => hub.frame((frame) => saidOf('description')(frame) && saidOf('for')(frame) === to);
  hear(hub, { want: { after: 0, audio: 1 } }); // a late word of the former
  const candidates = [{ candidate: 'one' }, null];
  for (const candidate of candidates) pc.onicecandidate({ candidate });
  await hub.frame((frame) => saidOf('candidates')(frame) && saidOf('for')(frame) === 'b');
  hear(hub, { tag: 'c', for: tag, candidates: [] });
  assert.equal((await offered('c')).data.signalbox.description.type, 'offer');
  const again = await hub.frame((frame) => saidOf('candidates')(frame) && saidOf('for')(frame) === 'c');
  assert.deepEqual(again.data.signalbox.candidates, candidates);
});

test('the far end hears of another connection that has nothing to offer', DEADLINE, async (t) => {
  const { hub, peer } = await enter(t, { room: { dataChannel: false } });
  hear(hub, { want: { after: 0, audio: 1 } });
  await hub.frame(saidOf('description'));
  peer.rebuild();
  const { data: { signalbox } } = await hub.frame((frame) => saidOf('link')(frame) === 2);
  assert.deepEqual([signalbox.for, signalbox.description], ['b', undefined]);
  hear(hub, { link: 2, want: { after: 0, audio: 1 } });
  await hub.frame((frame) => saidOf('link')(frame) === 2 && saidOf('description')(frame));
});

test('an end that has begun anew is told which streams there are now', DEADLINE, async (t) => {
  const { hub } = await enter(t, { room: { streams: { screen: new MediaStream([track('video')]) } } });
  const { data: { signalbox: { tag, streams } } } = await hub.frame(saidOf('description'));
  hear(hub, { candidates: [] });
  hear(hub, { tag: 'c', for: tag, candidates: [] });
  const again = await hub.frame((frame) => (
    saidOf('for')(frame) === 'c' && saidOf('streams')(frame) && !saidOf('description')(frame)));
  assert.deepEqual(again.data.signalbox.streams, streams);
  assert.deepEqual(Object.keys(streams), ['screen']);
});

// A first offer that was on the way for long comes from an end that is over. This end takes it for
// the far end, which meanwhile has answered the page that was here before.
test('who is taken for an end that is over meets the one that there is', DEADLINE, async (t) => {
  const { hub, room, peer } = await enter(t);
  const { data: { signalbox: { tag } } } = await hub.frame(saidOf('description'));
  hear(hub, { candidates: [] });
  hear(hub, { tag: 'late', description: { type: 'offer', sdp: '' }, offer: 1 });
  const { data: { signalbox: { tag: misled } } } = await hub.frame((frame) => saidOf('for')(frame) === 'late');
  assert.notEqual(misled, tag);
  hear(hub, { tag: 'late', for: tag, candidates: [] }); // the same end says nothing new
  hear(hub, { tag: 'now', for: tag, description: { type: 'answer', sdp: '' }, offer: 1 });
  const anew = await hub.frame((frame) => (
    saidOf('description')(frame) && ![tag, misled].includes(frame.data.signalbox.tag)));
  assert.equal(anew.data.signalbox.for, undefined);
  assert.notEqual(room.peers.get('bob'), peer);
});

test('a far end that names streams without end has some of them', DEADLINE, async (t) => {
  const { hub, session, peer } = await enter(t);
  let made = 0;
  const { MediaStream } = globalThis;
  t.after(() => Object.assign(globalThis, { MediaStream }));
  globalThis.MediaStream = class extends MediaStream {
    constructor(...args) {
      super(...args);
      made++;
    }
  };
  for (let n = 0; n < 20; n++) {
    hear(hub, { streams: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`s${i}`, `far-${n}-${i}`])) });
  }
  await session.ping();
  assert.ok(made >= 16 && made <= 64, `${made} streams`);
  hear(hub, { streams: { s0: 'far-0-0' } });
  await session.ping();
  assert.deepEqual([...peer.streams.keys()], ['s0']);
});
