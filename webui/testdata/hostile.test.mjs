// A member of a room that has this end begin one connection after another: browsers let a page have
// some 500, and forget those that are closed late.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import './browser.mjs';
import { joined, startHub } from './stub.mjs';
import { connect } from '../static/signalbox.js';

const SECONDS = 10;
const MOST = 16; // connections in that time, with one that ends
const WORDS = 1000; // of each member
const REPEATED = 400; // offers

// What each of them says in the nth of its words. What comes last must be heard in the end.
const KINDS = {
  'new tags': (n) => ({ tag: `tag-${n}` }),
  'new tags in replies': (n, own) => (
    { tag: `tag-${n}`, for: own, description: { type: 'answer', sdp: '' }, offer: 1 }),
  'higher links': (n) => ({ tag: 'tag', link: n + 1, description: { type: 'offer', sdp: '' } }),
  'questions for another connection': () => ({ tag: 'tag', want: { anew: true } }),
  'questions for another path': () => ({ tag: 'tag', link: 1000, want: { after: 0, restart: true } }),
  'joining and leaving': (n) => ({ tag: `tag-${n}` }),
};

test('TestAttackF1 a member that begins anew all the time has its connections at a pace', {
  timeout: 60_000,
}, async (t) => {
  const begun = new Map(); // how many connections, by the kind
  const Native = RTCPeerConnection;
  t.after(() => { globalThis.RTCPeerConnection = Native; });
  globalThis.RTCPeerConnection = class extends Native {
    constructor(configuration) {
      super(configuration);
      const kind = configuration?.iceServers[0].urls;
      begun.set(kind, (begun.get(kind) ?? 0) + 1);
    }
  };

  await Promise.all(Object.entries(KINDS).map(async ([kind, say]) => {
    const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'mallory', 'bob')) });
    const configuration = { iceServers: [{ urls: kind }] };
    const session = await connect({ url: hub.url, keep: false, configuration });
    t.after(() => session.close());
    const room = await session.join('tea');
    const bob = room.peers.get('bob');
    const { connection } = bob;
    let seq = 1;
    const hear = (from, said) => hub.line.send({
      type: 'signal', seq: ++seq, from, fromName: from, room: 'tea', data: { signalbox: said },
    });
    const saidTo = (to, accept) => hub.frame(({ data, ...frame }) => (
      frame.to === to && data?.signalbox && accept(data.signalbox)));
    const { data: { signalbox: { offer } } } = await saidTo('bob', ({ description }) => description);
    const before = begun.get(kind);
    const worked = process.cpuUsage();
    let moments = 0; // of ten milliseconds, or of more on a busy machine
    const clock = setInterval(() => { moments++; }, 10);
    t.after(() => clearInterval(clock));
    const start = performance.now();
    let words = 0;
    while (performance.now() - start < SECONDS * 1000) {
      for (const due = (performance.now() - start) / SECONDS / 1000 * WORDS; words < due; words++) {
        if (kind === 'joining and leaving') {
          const peer = { id: 'mallory', name: 'Mallory', polite: false };
          hub.line.send({ type: 'peer-left', seq: ++seq, room: 'tea', reason: 'left', peer });
          hub.line.send({ type: 'peer-joined', seq: ++seq, room: 'tea', peer });
        }
        const { data } = hub.frames.findLast(({ to }) => to === 'mallory');
        hear('mallory', say(words, data.signalbox.tag));
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const count = begun.get(kind) - before;
    assert.ok(count > 0 && count <= MOST, `${kind}: ${count} connections in ${SECONDS} s`);

    // The others are as they were.
    hear('bob', { tag: 'b', description: { type: 'answer', sdp: '' }, offer });
    await hub.until(() => connection.signalingState === 'stable');
    assert.equal(room.peers.get('bob'), bob);
    assert.equal(bob.connection, connection);
    assert.equal(bob.rebuilds, 0);

    // And what was asked for last is done.
    const last = say(words - 1);
    if (kind === 'joining and leaving') await hub.until(() => room.peers.get('mallory'));
    else if (last.link) await saidTo('mallory', ({ link }) => link === last.link);
    else if (!last.want) await saidTo('mallory', ({ for: far }) => far === last.tag);
    else await hub.until(() => room.peers.get('mallory').rebuilds > count - 2);
    // To an end that replies, there may be nothing to say until something is repeated.
    if (!kind.includes('replies')) assert.ok(moments < (SECONDS + 3) * 100);
    const { user } = process.cpuUsage(worked); // of all kinds together
    assert.ok(user < SECONDS * 1e6, `${user} µs of work`);
  }));
});

test('TestAttackF2 a member that repeats its offer delays nothing that is said to others', {
  timeout: 60_000,
}, async (t) => {
  const hub = await startHub(t, { join: ({ room }, { send }) => send(joined(room, 'mallory', 'bob')) });
  const session = await connect({ url: hub.url, keep: false });
  t.after(() => session.close());
  await session.join('tea');
  let seq = 1;
  const hear = (from, said) => hub.line.send({
    type: 'signal', seq: ++seq, from, fromName: from, room: 'tea', data: { signalbox: said },
  });
  const answered = (to, tag) => ({ data, ...frame }) => (
    frame.to === to && data?.signalbox.for === tag && data.signalbox.description);
  const offer = (tag, times) => ({ tag, link: 2, description: { type: 'offer', sdp: '' }, offer: times });
  for (let n = 1; n <= REPEATED; n++) hear('mallory', offer('m', n));
  await hub.frame(answered('mallory', 'm'));
  const before = hub.frames.length;
  hear('bob', offer('b', 1));
  await hub.frame(answered('bob', 'b'));
  const others = hub.frames.slice(before).filter(({ to }) => to === 'mallory').length;
  t.diagnostic(`${others} words to the other one came first`);
  assert.ok(others < REPEATED / 4);
});
