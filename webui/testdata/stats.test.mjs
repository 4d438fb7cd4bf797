// The stats module: what samples and verdicts make of browsers' reports, and how much is kept.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import './browser.mjs';
import { Stats, verdictOf, verdictWords } from '../static/signalbox-stats.js';

const STEP_MS = 1000;

// A connection whose reports say what has been sent and received so far. `each` is what a second
// adds: of 100 packets of 1000 bytes, how many are lost.
class Connection {
  connectionState = 'connected';
  seconds = 0;
  up = 0; // lost
  down = 0;

  constructor(each = {}) {
    this.each = { up: 0, down: 0, rtt: 0.05, limited: 'none', available: 3_000_000, jitter: 0.004, ...each };
  }

  pass() {
    this.seconds++;
    this.up += this.each.up;
    this.down += this.each.down;
  }

  async getStats() {
    const { seconds, each } = this;
    const packets = seconds * 100;
    const entries = [
      { id: 'T', type: 'transport', selectedCandidatePairId: 'P' },
      { id: 'P', type: 'candidate-pair', state: 'succeeded', localCandidateId: 'L', remoteCandidateId: 'R',
        currentRoundTripTime: each.rtt, availableOutgoingBitrate: each.available },
      { id: 'L', type: 'local-candidate', candidateType: 'relay', protocol: 'udp', relayProtocol: 'tcp' },
      { id: 'R', type: 'remote-candidate', candidateType: 'host', protocol: 'udp', address: '203.0.113.7',
        port: 50_000 },
      { id: 'C', type: 'codec', mimeType: 'video/VP8' },
      { id: 'O', type: 'outbound-rtp', kind: 'video', codecId: 'C', packetsSent: packets + this.up,
        retransmittedPacketsSent: this.up, bytesSent: packets * 1000, headerBytesSent: packets * 20,
        frameWidth: 1280, frameHeight: 720, framesPerSecond: 30, qualityLimitationReason: each.limited },
      // Layers of a picture are one flow.
      { id: 'O2', type: 'outbound-rtp', kind: 'video', codecId: 'C', packetsSent: 0, bytesSent: 0, frameWidth: 320 },
      { id: 'RI', type: 'remote-inbound-rtp', localId: 'O', packetsLost: this.up, roundTripTime: 0.06 },
      { id: 'I', type: 'inbound-rtp', kind: 'audio', packetsReceived: packets - this.down, packetsLost: this.down,
        bytesReceived: packets * 100, jitter: each.jitter },
    ];
    if (each.dropped) {
      entries.push({ id: 'I2', type: 'inbound-rtp', kind: 'video', packetsReceived: packets, bytesReceived: packets,
        framesDropped: seconds * each.dropped, framesDecoded: seconds * 12, framesPerSecond: 12 });
      // A screen on which nothing moves is wider.
      entries.push({ id: 'I3', type: 'inbound-rtp', kind: 'video', packetsReceived: seconds, bytesReceived: packets,
        frameWidth: 1920, framesDecoded: seconds, framesPerSecond: 1 });
    }
    return new Map(entries.map((entry) => [entry.id, entry]));
  }
}

// Timers run by hand: a second passes when the test says so.
const timers = new Map();
const tick = () => [...timers.values()].forEach((run) => run());
let lastTimer = 0;
globalThis.setInterval = (run, ms) => {
  assert.equal(ms, STEP_MS);
  timers.set(++lastTimer, run);
  return lastTimer;
};
globalThis.clearInterval = (timer) => timers.delete(timer);

async function watching(t, source, connection = source) {
  t.mock.method(performance, 'now', () => connection.seconds * STEP_MS);
  const stats = new Stats(source);
  await settle();
  const pass = async (seconds) => {
    for (let i = 0; i < seconds; i++) {
      connection.pass();
      tick();
      await settle();
    }
  };
  return { stats, pass };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('a sample says what a second brought', async (t) => {
  const { stats, pass } = await watching(t, new Connection({ up: 8, down: 2 }));
  assert.equal(stats.last, null);
  await pass(2);
  const { at, ...sample } = stats.last;
  assert.ok(Math.abs(at - Date.now()) < 60_000);
  assert.deepEqual(sample, {
    took: 0,
    path: 'relay-tcp',
    rtt: 50,
    up: {
      bitrate: 816_000, packets: 100, lost: 8, loss: 0.08, available: 3_000_000, captured: null, audio: null,
      video: { codec: 'VP8', bitrate: 816_000, width: 1280, height: 720, fps: 30, limited: 'none' },
    },
    down: {
      bitrate: 80_000, packets: 100, lost: 2, loss: 0.02,
      audio: { codec: null, bitrate: 80_000, jitter: 4 }, video: null,
    },
    candidates: {
      local: { type: 'relay', protocol: 'udp', address: null, port: null },
      remote: { type: 'host', protocol: 'udp', address: '203.0.113.7', port: 50_000 },
    },
  });
  stats.stop();
});

test('it says how many frames found no time to be shown', async (t) => {
  const { stats, pass } = await watching(t, new Connection({ dropped: 7 }));
  await pass(3);
  const { video } = stats.last.down;
  assert.deepEqual([video.width, video.fps, video.frames, video.dropped], [1920, 1, 13, 7]);
  stats.stop();
});

// As Chromium and Firefox have it of a camera that is sent; of one that can be shown and not sent,
// Chromium has frames, too, which stay 0.
test('it says how many frames the cameras have given, sent or not', async (t) => {
  const connection = new Connection();
  const { getStats } = connection;
  let source = { trackIdentifier: 'x', frames: 0, framesPerSecond: 0 };
  connection.getStats = async function () {
    return new Map([...await getStats.call(this),
      ['SV2', { id: 'SV2', type: 'media-source', kind: 'video', ...source }],
      ['SA1', { id: 'SA1', type: 'media-source', kind: 'audio', audioLevel: 0.1 }]]);
  };
  const { stats, pass } = await watching(t, connection);
  await pass(2);
  assert.equal(stats.last.up.captured, 0);
  source = { ...source, frames: 12, framesPerSecond: 12, width: 1280, height: 720 };
  await pass(1);
  assert.equal(stats.last.up.captured, 12);
  source = { ...source, frames: 3 }; // another one is in its place
  await pass(1);
  assert.equal(stats.last.up.captured, 0);
  source = { trackIdentifier: 'x' };
  await pass(1);
  assert.equal(stats.last.up.captured, null);
  stats.stop();
});

test('a minute is kept, and no more', async (t) => {
  const { stats, pass } = await watching(t, new Connection());
  await pass(200);
  assert.equal(stats.samples.length, 60);
  assert.equal(stats.samples.at(-1), stats.last);
  stats.stop();
  await pass(3);
  assert.equal(stats.samples.length, 60);
});

test('a connection in the place of another one begins anew', async (t) => {
  const connection = new Connection({ up: 5 });
  const peer = {
    connection, state: 'connected', path: async () => ({ kind: 'relay', protocol: 'tls', rtt: 7 }),
  };
  const { stats, pass } = await watching(t, peer, connection);
  await pass(4);
  assert.deepEqual([stats.last.path, stats.last.rtt], ['relay-tls', 7]);
  peer.connection = new Connection({ up: 5 });
  await pass(1);
  assert.equal(stats.samples.length, 4); // of its first report nothing is known
  await pass(1);
  assert.equal(stats.last.up.packets, 0);
  assert.ok(stats.samples.every(({ up }) => up.packets >= 0 && up.bitrate >= 0));
  peer.state = 'closed';
  await pass(2);
  assert.equal(stats.samples.length, 5);
});

test('a connection that doesn’t answer is not asked twice, and one that refuses is asked again', async (t) => {
  const connection = new Connection();
  let asked = 0;
  let answer;
  const getStats = connection.getStats.bind(connection);
  connection.getStats = () => {
    asked++;
    return new Promise((resolve, reject) => { answer = { resolve: () => resolve(getStats()), reject }; });
  };
  const { stats, pass } = await watching(t, connection);
  await pass(5);
  assert.equal(asked, 1);
  answer.reject(new Error('closed'));
  await settle();
  await pass(1);
  assert.equal(asked, 2);
  answer.resolve();
  await settle();
  await pass(1);
  answer.resolve();
  await settle();
  assert.equal(stats.samples.length, 1);
  await pass(1);
  stats.stop();
  answer.resolve();
  await settle();
  assert.equal(stats.samples.length, 1);
});

for (const [name, each, verdict, english, chinese] of [
  ['nothing is wrong', {}, { code: 'good' }, 'The connection is good.', '连接良好。'],
  ['the uplink loses', { up: 8, down: 4 }, { code: 'uplink-loss', percent: 8 },
    'Your uplink loses 8 %.', '你的上行丢包 8 %。'],
  ['the downlink loses', { up: 2, down: 30 }, { code: 'downlink-loss', percent: 30 },
    'Your downlink loses 30 %.', '你的下行丢包 30 %。'],
  ['little is lost', { up: 2, down: 2 }, { code: 'good' }, 'The connection is good.', '连接良好。'],
  ['the way is long', { rtt: 0.65 }, { code: 'slow', rtt: 650 },
    'The round trip is long: 650 ms.', '延迟较高：往返 650 毫秒。'],
  ['packets come in heaps', { jitter: 0.12 }, { code: 'jitter', jitter: 120 },
    'What arrives is uneven, by 120 ms.', '接收不稳定，抖动 120 毫秒。'],
  ['the uplink is full', { limited: 'bandwidth', available: 900_000 }, { code: 'uplink-narrow' },
    'Your uplink is too narrow for a better picture.', '你的上行带宽不足，画面无法更清晰。'],
  ['an application has set a bound', { limited: 'bandwidth' }, { code: 'good' }, 'The connection is good.', '连接良好。'],
  ['the computer is slow', { limited: 'cpu' }, { code: 'cpu' },
    'This computer is too busy for a better picture.', '此电脑太忙，画面无法更清晰。'],
]) {
  test(`the verdict when ${name}`, async (t) => {
    const { stats, pass } = await watching(t, new Connection(each));
    const verdicts = [];
    stats.on('verdict', ({ verdict: given }) => verdicts.push(given.code));
    assert.equal(verdictWords(stats.verdict, 'en'), 'Nothing is known yet.');
    await pass(12);
    assert.deepEqual(stats.verdict, verdict);
    assert.deepEqual(verdictOf(stats.samples), verdict);
    assert.equal(verdictWords(verdict, 'en'), english);
    assert.equal(verdictWords(verdict, 'zh-CN'), chinese);
    assert.ok(verdicts.length <= 2, `it is said once: ${verdicts}`);
    stats.stop();
  });
}

test('losses are forgotten after ten seconds, and no path is a verdict at once', async (t) => {
  const connection = new Connection({ up: 20 });
  const { stats, pass } = await watching(t, connection);
  await pass(12);
  assert.equal(stats.verdict.percent, 20);
  connection.each.up = 0;
  await pass(5);
  assert.equal(stats.verdict.percent, 10);
  await pass(5);
  assert.equal(stats.verdict.code, 'good');
  connection.connectionState = 'disconnected';
  await pass(1);
  assert.equal(stats.verdict.code, 'no-path');
  assert.equal(stats.last.path, null);
  stats.stop();
});

test('packets that come late after all are no losses, and too few packets tell nothing', async (t) => {
  const connection = new Connection({ down: 30 });
  const { stats, pass } = await watching(t, connection);
  await pass(1);
  connection.each.down = -30;
  await pass(1);
  assert.equal(stats.last.down.lost, 0);
  assert.ok(stats.samples.every(({ down }) => down.loss >= 0 && down.loss <= 1));
  stats.stop();

  const report = [
    { id: 'O', type: 'outbound-rtp', kind: 'audio', packetsSent: 0, bytesSent: 0 },
    { id: 'RI', type: 'remote-inbound-rtp', localId: 'O', packetsLost: 0 },
  ];
  const getStats = async () => new Map(report.map((entry) => [entry.id, entry]));
  const few = new Stats({ connectionState: 'connected', getStats });
  await settle();
  report[0] = { ...report[0], packetsSent: 10 };
  report[1] = { ...report[1], packetsLost: 5 };
  await settle();
  tick();
  await settle();
  assert.equal(few.last.up.lost, 5);
  assert.equal(few.last.up.loss, null);
  few.stop();
});

test('no timer outlives its statistics', () => assert.equal(timers.size, 0));
