// What two ends tell each other with Data, over a pair of channels that only carries.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import './browser.mjs';
import { SignalboxError } from '../static/signalbox.js';
import { Data } from '../static/signalbox-data.js';
import { Emitter } from '../sdk/emitter.js';
import { eachPiece, Inbox, messageOf } from '../sdk/data/pieces.js';

const DEADLINE = { timeout: 60_000 };

class Channel extends EventTarget {
  readyState = 'open';
  bufferedAmount = 0;
  held = false; // what is sent waits
  #waiting = [];

  constructor(deliver) {
    super();
    this.deliver = deliver;
  }

  send(message) {
    this.bufferedAmount += message.byteLength;
    this.#waiting.push(message.slice().buffer);
    if (!this.held) queueMicrotask(() => this.flow());
  }

  flow() {
    const high = this.bufferedAmount > this.bufferedAmountLowThreshold;
    this.bufferedAmount = 0;
    for (const message of this.#waiting.splice(0)) this.deliver(message);
    if (high) this.dispatchEvent(new Event('bufferedamountlow'));
  }
}

// A room in which there is one peer, the other end.
class Side extends Emitter {
  peers = new Map();

  meet(name, channel) {
    this.peer = { name, channel, send: (message) => channel.readyState === 'open' && (channel.send(message), true) };
    this.peers.set(name, this.peer);
  }

  hear(data) {
    this._emit('message', { peer: this.peer, data });
  }
}

function pair(a = {}, b = {}) {
  const [left, right] = [new Side(), new Side()];
  const ends = [new Data(left, a), new Data(right, b)];
  left.meet('right', new Channel((data) => right.hear(data)));
  right.meet('left', new Channel((data) => left.hear(data)));
  return { left, right, ends, log: record(ends[1]) };
}

function record(data) {
  const log = [];
  for (const type of ['message', 'progress', 'meta']) data.on(type, (detail) => log.push({ type, ...detail }));
  return log;
}

const settled = async () => { for (let n = 0; n < 20; n++) await null; };
const messages = (log) => log.filter(({ type }) => type === 'message').map(({ data }) => data);

test('everything arrives as it was', DEADLINE, async () => {
  const { left, ends: [data], log } = pair();
  const nested = { a: [{ b: null }] };
  const all = [{}, Object.create(null), [], null, 0, -1.5, '', 'text', '工🫖', false, nested, 'x'.repeat(20_000)];
  for (const value of all) assert.equal(data.send(value), 1);
  assert.equal(data.send(all[0], left.peer), 1);
  await settled();
  assert.deepEqual(messages(log), [...all.slice(0, 1), {}, ...all.slice(2), {}]);
  assert.ok(log.every(({ peer: { name } }) => name === 'left'));

  const bytes = new Uint8Array([9, 1, 2, 3, 9]);
  const parts = [bytes.subarray(1, 4), new DataView(bytes.buffer, 1, 3), new ArrayBuffer(0)];
  for (const one of [bytes.buffer, bytes, ...parts]) data.send(one);
  await settled();
  const got = messages(log).slice(all.length + 1);
  assert.ok(got.every((one) => one instanceof ArrayBuffer));
  assert.deepEqual(got.map((one) => [...new Uint8Array(one)].join()), ['9,1,2,3,9', '9,1,2,3,9', '1,2,3', '1,2,3', '']);
});

test('what can not arrive as it was is refused', DEADLINE, async () => {
  const { ends: [data], log } = pair();
  const circle = {};
  circle.self = circle;
  const odd = [1n, { n: 1n }, circle, () => {}, Symbol('s'), new Map([[1, 2]]), new Set(), /a/, new Blob(['a'])];
  assert.throws(() => data.send(undefined), { code: 'bad-data' });
  for (const value of odd) {
    assert.throws(() => data.send(value), { code: 'bad-data' });
    assert.throws(() => data.setMeta(value), { code: 'bad-data' });
  }
  await assert.rejects(data.transfer(circle), (error) => error.code === 'bad-data' && error instanceof SignalboxError);
  await settled();
  assert.deepEqual(log, []);
});

test('long data comes in pieces, with progress, and others pass between', DEADLINE, async () => {
  const { left, ends: [data], log } = pair();
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
  const told = [];
  const transfer = data.transfer(bytes, { onprogress: ({ peer, sent, total }) => told.push([peer, sent, total]) });
  const second = data.transfer('工'.repeat(10_000));
  const third = data.transfer(new Blob([bytes, bytes]));
  const fourth = data.transfer({ list: Array(10_000).fill('abc') });
  await new Promise(setImmediate);
  data.send('between');
  assert.deepEqual(await Promise.all([transfer, second, third, fourth]), [1, 1, 1, 1]);
  await settled();
  const got = messages(log);
  const [first, text, blob, json] = got.filter((one) => one !== 'between');
  assert.ok(got.includes('between'));
  assert.deepEqual(new Uint8Array(first), bytes);
  assert.equal(text, '工'.repeat(10_000));
  assert.equal(blob.byteLength, 200_000);
  assert.equal(json.list.length, 10_000);
  assert.deepEqual(told.at(-1), [left.peer, 100_000, 100_000]);
  assert.equal(told.length, 7);
  const received = log.filter(({ type, total }) => type === 'progress' && total === 100_000);
  assert.deepEqual(received.map(({ received: n }) => n), told.map(([, n]) => n));
  await data.transfer(new Uint8Array(0));
  await settled();
  assert.equal(messages(log).at(-1).byteLength, 0);
});

test('no more is handed over than goes out', DEADLINE, async () => {
  const { left, ends: [data], log } = pair();
  const { channel } = left.peer;
  channel.held = true;
  let sent = 0;
  const transfer = data.transfer(new Uint8Array(2_000_000), { onprogress: (progress) => { sent = progress.sent; } });
  await new Promise(setImmediate);
  assert.ok(sent > 250_000 && sent < 300_000, `${sent}`);
  let isDrained = false;
  const drained = data.drain().then(() => { isDrained = true; });
  await settled();
  assert.equal(isDrained, false);
  channel.held = false;
  channel.flow();
  await drained;
  await transfer;
  await settled();
  assert.equal(messages(log)[0].byteLength, 2_000_000);
  await data.drain(left.peer); // nothing waits
});

// A connection that is closed says nothing of its channels.
test('a peer that goes keeps nobody waiting', DEADLINE, async () => {
  for (const end of [
    ({ left }) => left._emit('left', { peer: left.peer }),
    ({ left }) => { // rebuilt
      left.peer.channel = new Channel(() => {});
      left._emit('state', { peer: left.peer });
    },
  ]) {
    const all = pair();
    const { left, ends: [data], log } = all;
    left.peer.channel.held = true;
    const transfer = data.transfer(new Uint8Array(2_000_000));
    const drained = data.drain();
    await new Promise(setImmediate);
    const { channel } = left.peer;
    channel.readyState = 'closed';
    end(all);
    await assert.rejects(transfer, { code: 'no-channel' });
    await drained;
    assert.deepEqual(messages(log), []);
  }
});

test('a transfer can be given up, and the next one is whole', DEADLINE, async () => {
  const { left, ends: [data], log } = pair();
  left.peer.channel.held = true;
  const abort = new AbortController();
  const transfer = data.transfer(new Uint8Array(2_000_000), { signal: abort.signal });
  const next = data.transfer('x'.repeat(50_000));
  await new Promise(setImmediate);
  abort.abort();
  left.peer.channel.held = false;
  left.peer.channel.flow();
  await assert.rejects(transfer, { code: 'canceled' });
  assert.equal(await next, 1);
  await settled();
  assert.deepEqual(messages(log), ['x'.repeat(50_000)]);
});

test('what is longer than an end wants is refused, and the next one arrives', DEADLINE, async () => {
  const { left, ends: [data], log } = pair({}, { longest: 100_000 });
  let sent = 0;
  const transfer = data.transfer(new Uint8Array(20_000_000), { onprogress: (progress) => { sent = progress.sent; } });
  await assert.rejects(transfer, { code: 'too-large' });
  assert.ok(sent < 2_000_000, `${sent} bytes`);
  assert.deepEqual(log, []);
  assert.equal(await data.transfer('x'.repeat(100_000)), 1);
  await settled();
  assert.deepEqual(messages(log), ['x'.repeat(100_000)]);
  assert.equal(left.peer.channel.readyState, 'open');
});

test('questions have answers', DEADLINE, async () => {
  const { left, ends: [data, far] } = pair();
  await assert.rejects(data.ask(left.peer, 1), { code: 'unanswered' });
  far.on('ask', ({ data: asked, answer }) => {
    if (asked === 'later') setTimeout(answer, 1, 'then');
    else if (asked === 'no') answer(Promise.reject(new Error('not now')));
    else if (asked === 'odd') answer(1n);
    else answer({ asked });
    if (asked !== 'later') answer('twice');
  });
  assert.deepEqual(await data.ask(left.peer, { n: 1 }), { asked: { n: 1 } });
  assert.deepEqual(await data.ask(left.peer, null), { asked: null });
  await assert.rejects(data.ask(left.peer, 'no'), { code: 'declined', reason: 'not now' });
  await assert.rejects(data.ask(left.peer, 'odd'), { code: 'declined' });
  await assert.rejects(data.ask(left.peer, 1n), { code: 'bad-data' });
  assert.equal(await data.ask(left.peer, 'later'), 'then');
});

test('questions without an answer end', DEADLINE, async () => {
  const { left, ends: [data, far] } = pair();
  far.on('ask', () => {});
  await assert.rejects(data.ask(left.peer, 1, { timeout: 5 }), { code: 'timeout' });
  const gone = data.ask(left.peer, 1);
  left._emit('left', { peer: left.peer });
  await assert.rejects(gone, { code: 'lost' });
  const closed = data.ask(left.peer, 1);
  data.close();
  await assert.rejects(closed, { code: 'lost' });
  left.peer.channel.readyState = 'closed';
  await assert.rejects(data.ask(left.peer, 1), { code: 'no-channel' });
});

test('what an end says of itself is known to all, and to those who come later', DEADLINE, async () => {
  const { left, right, ends: [data, far], log } = pair({ meta: { hand: false } });
  left._emit('open', { peer: left.peer });
  await settled();
  assert.deepEqual(far.metaOf(right.peer), { hand: false });
  data.setMeta({ hand: true });
  await settled();
  left._emit('open', { peer: left.peer }); // on another connection
  await settled();
  assert.deepEqual(log.map(({ type, meta }) => [type, meta]), [['meta', { hand: false }], ['meta', { hand: true }]]);
  assert.equal(data.metaOf(left.peer), undefined);
});

test('what no Data has sent does no harm', DEADLINE, async () => {
  const told = [];
  const note = (kind) => (value) => told.push([kind, value]);
  const inbox = new Inbox({ message: note('message'), note: note('note'), progress: note('progress') });
  const pieces = [];
  await eachPiece('x'.repeat(40_000), ({ message }) => pieces.push(message));
  const liar = pieces[0].slice();
  new DataView(liar.buffer).setFloat64(1, 20_000);
  const short = [[], [0], [255], [4], [4, 1, 2], [8], [8, 1], [13, 123], [15, 123], [15], [31]];
  for (const bytes of [...short, pieces[1], pieces[2], liar, pieces[1], pieces[2]]) {
    inbox.take(new Uint8Array(bytes).buffer);
  }
  assert.deepEqual(told.filter(([kind]) => kind !== 'progress'), []);
  for (const value of [1, 'a', [1], null]) inbox.take(messageOf(value).buffer);
  assert.deepEqual(told.filter(([kind]) => kind === 'message').map(([, value]) => value), [1, 'a', [1], null]);
  const { right, ends: [, far] } = pair();
  const answers = ['{"answer":{}}', '{"answer":{"id":"x"}}', '{"answer":1}'];
  for (const text of ['null', '1', '"a"', '[]', '{"ask":1}', '{"ask":{}}', ...answers, '{"meta":null}']) {
    right.hear(new Uint8Array([15, ...new TextEncoder().encode(text)]).buffer);
  }
  assert.equal(far.metaOf(right.peer), null);
});

test('pieces of nothing take no memory, and nor does a length that is only said', DEADLINE, async () => {
  const told = [];
  const inbox = new Inbox({ message: (data) => told.push(data), note() {}, progress() {} });
  const first = new Uint8Array(10);
  first[0] = 4;
  new DataView(first.buffer).setFloat64(1, 256 * 1024 * 1024);
  const used = () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  inbox.take(first.buffer);
  for (let n = 0; n < 1_000_000; n++) inbox.take(new Uint8Array(n % 2 ? [0] : [0, 7]).buffer);
  assert.ok(used() - before < 100 * 1024 * 1024, `${used() - before} bytes for 500,000`);
  new DataView(first.buffer).setFloat64(1, 500_001);
  inbox.take(first.buffer);
  for (let n = 1; n <= 500_000; n++) inbox.take(new Uint8Array([n < 500_000 ? 0 : 8, 7]).buffer);
  assert.deepEqual(told.map(({ byteLength }) => byteLength), [500_001]);
  assert.ok(new Uint8Array(told[0]).subarray(1).every((byte) => byte === 7));
});

test('what a peer says of itself may be deeper than what can be said again', DEADLINE, async () => {
  const { right, ends: [, far], log } = pair();
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const text = new TextEncoder().encode(`{"meta":${deep}}`);
  for (let n = 0; n < 2; n++) right.hear(new Uint8Array([15, ...text]).buffer);
  assert.ok(Array.isArray(far.metaOf(right.peer)));
  assert.equal(log.filter(({ type }) => type === 'meta').length, 1);
});

test('a channel keeps nothing of what has waited for it', DEADLINE, async () => {
  const { left, ends: [data] } = pair();
  const { channel } = left.peer;
  let listeners = 0;
  for (const [name, step] of [['addEventListener', 1], ['removeEventListener', -1]]) {
    const change = channel[name].bind(channel);
    channel[name] = (...args) => {
      listeners += step;
      change(...args);
    };
  }
  channel.held = true;
  channel.bufferedAmount = 300 * 1024;
  const drained = data.drain(left.peer);
  assert.equal(listeners, 2);
  channel.flow();
  await drained;
  assert.equal(listeners, 0);
});

test('a transfer that waits ends at once if it is given up, or all is', DEADLINE, async () => {
  for (const end of [({ control }) => control.abort(), ({ ends: [data] }) => data.close()]) {
    const both = pair();
    const { left, ends: [data] } = both;
    left.peer.channel.held = true;
    const control = new AbortController();
    let waits;
    const full = new Promise((resolve) => { waits = resolve; });
    const onprogress = ({ sent }) => sent >= 256 * 1024 && waits();
    const transfer = data.transfer(new Uint8Array(1024 * 1024), { signal: control.signal, onprogress });
    await full;
    end({ ...both, control });
    await assert.rejects(transfer, { code: 'canceled' });
  }
});
