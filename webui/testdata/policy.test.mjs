// How much of a picture each of the others in a call is sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Frozen } from '../static/js/call/frozen.js';
import { cameraFor, encodingOf, isOverworked, lossOf, Machine, Uplink, withVoices } from '../static/js/call/policy.js';
import { Sending } from '../static/js/call/sending.js';

const second = (packets, lost, path = 'direct') => ({ path, up: { packets, lost } });
const sound = (n) => Array.from({ length: n }, () => second(100, 0));

test('a pair has the whole picture', () => {
  const sent = encodingOf({ others: 1, height: 720, shown: 900 });
  const { active, scaleResolutionDownBy, maxFramerate, maxBitrate } = sent;
  assert.deepEqual([active, scaleResolutionDownBy, maxFramerate], [true, 1, 30]);
  assert.ok(maxBitrate > 2_000_000);
});

test('with more people, each gets a smaller and slower one, and all together fit the uplink', () => {
  let before = { scaleResolutionDownBy: 0, maxFramerate: Infinity, maxBitrate: Infinity };
  for (let others = 1; others <= 7; others++) {
    const now = encodingOf({ others, height: 720 });
    assert.ok(now.active);
    assert.ok(now.scaleResolutionDownBy >= before.scaleResolutionDownBy);
    assert.ok(now.maxFramerate <= before.maxFramerate);
    assert.ok(now.maxBitrate <= before.maxBitrate);
    assert.ok(others * (now.maxBitrate + 40_000) <= 3_000_000, `${others} others`);
    before = now;
  }
  assert.deepEqual([before.scaleResolutionDownBy, before.maxFramerate], [3, 15]);
});

test('nobody is sent more than is shown there', () => {
  assert.equal(encodingOf({ others: 1, height: 720, shown: 170 }).scaleResolutionDownBy, 4);
  assert.equal(encodingOf({ others: 1, height: 720, shown: 181 }).scaleResolutionDownBy, 3);
  assert.equal(encodingOf({ others: 1, height: 720, shown: 5000 }).scaleResolutionDownBy, 1);
  assert.equal(encodingOf({ others: 1, height: 240, shown: 700 }).scaleResolutionDownBy, 1, 'nor less than there is');
  assert.equal(encodingOf({ others: 1, height: 720, shown: 0 }).active, false, 'what is not shown, is not sent');
  assert.ok(encodingOf({ others: 1, height: 720, shown: 170 }).maxBitrate < 250_000);
});

test('voices come first: pictures have what is left, and pause where that is too little', () => {
  assert.equal(encodingOf({ others: 1, height: 720, uplink: 300_000 }).maxBitrate, 260_000);
  assert.equal(encodingOf({ others: 2, height: 720, uplink: 180_000 }).active, true);
  assert.equal(encodingOf({ others: 2, height: 720, uplink: 170_000 }).active, false);
});

test('a screen keeps its size, and has most of what there is beside a camera', () => {
  const both = { others: 2, height: 720, hasBoth: true, uplink: 1_000_000 };
  const screen = encodingOf({ ...both, isScreen: true });
  assert.deepEqual([screen.scaleResolutionDownBy, screen.maxFramerate, screen.maxBitrate], [1, 15, 345_000]);
  assert.equal(encodingOf(both).maxBitrate, 115_000);
});

test('a picture that nobody may have seen yet never pauses', () => {
  for (const why of [{ shown: 0 }, { uplink: 100_000 }]) {
    assert.equal(encodingOf({ others: 2, height: 720, ...why }).active, false);
    assert.equal(encodingOf({ others: 2, height: 720, ...why, isNew: true }).active, true);
  }
});

test('an uplink that loses much for some seconds has less room, and more again once it is sound', () => {
  const uplink = new Uplink();
  const take = (seconds, ...losses) => {
    for (let n = 0; n < seconds; n++) uplink.take(losses);
    return uplink.bits;
  };
  assert.equal(take(10, null, null), 3_000_000);
  assert.equal(take(3, 0.2), 3_000_000, 'a burst is none of it');
  assert.equal(take(1, 0.05), 3_000_000);
  assert.equal(take(3, 0.2), 3_000_000);
  assert.equal(take(1, 0.2), 2_100_000);
  assert.equal(take(3, 0.2), 2_100_000, 'each step is given time');
  assert.equal(take(1, 0.05), 2_100_000, 'a little is left as it is');
  assert.equal(take(60, 0.5), 100_000);
  assert.equal(take(60, 0), 3_000_000);
});

test('what one far end loses alone is not lost on the uplink', () => {
  const uplink = new Uplink();
  for (let n = 0; n < 10; n++) uplink.take([0.5, 0, null]);
  assert.equal(uplink.bits, 3_000_000);
});

test('the first seconds on a path say nothing of losses, and later ones soon no more', () => {
  const early = [second(100, 90), second(100, 90), ...sound(3)];
  assert.equal(lossOf(early), null);
  assert.equal(lossOf([...early, ...sound(2)]), null);
  assert.equal(lossOf([...early, ...sound(2), second(100, 60)]), 0.2);
  assert.equal(lossOf([...sound(7), second(100, 60), ...sound(3)]), 0);
  assert.equal(lossOf([...sound(9), second(0, 0, null), ...sound(5), second(100, 50), second(100, 50)]), null,
    'nor on another path');
  assert.equal(lossOf(Array.from({ length: 9 }, () => second(10, 5))), null, 'nor few packets');
  assert.equal(lossOf(Array.from({ length: 9 }, () => second(100, null))), null);
});

test('a machine that is short of time is spared pixels and frames, of a screen only frames', () => {
  const steps = [0, 1, 2, 3].map((spare) => encodingOf({ others: 3, height: 720, spare }));
  assert.deepEqual(steps.map(({ maxFramerate }) => maxFramerate), [24, 17, 12, 8]);
  assert.deepEqual(steps.map(({ scaleResolutionDownBy }) => 720 / scaleResolutionDownBy), [480, 360, 240, 180]);
  for (const [n, { maxBitrate }] of steps.slice(1).entries()) assert.ok(maxBitrate < steps[n].maxBitrate / 1.5);
  const eight = encodingOf({ others: 7, height: 720, shown: 170, spare: 3 });
  assert.deepEqual([720 / eight.scaleResolutionDownBy, eight.maxFramerate], [90, 5], 'and never nothing');
  const screen = encodingOf({ others: 1, height: 1080, isScreen: true, spare: 2 });
  assert.deepEqual([screen.scaleResolutionDownBy, screen.maxFramerate], [1, 7]);
  assert.equal(encodingOf({ others: 1, height: 720, spare: 1 }).scaleResolutionDownBy, 1.5);
});

const picture = (limited, height, fps, captured = fps) => ({
  up: { video: { limited, height, fps }, captured }, down: { video: null, lost: 0 },
});
const arriving = (frames, dropped, lost = 0) => ({
  up: { video: null }, down: { video: { fps: 1, frames, dropped }, lost },
});
const isOne = (sample, set) => isOverworked([{ sample, set }]);

test('a machine is overworked where the browser does less than it was set to, for want of time', () => {
  const set = { height: 480, rate: 24 };
  assert.equal(isOne(picture('cpu', 360, 24), set), true);
  assert.equal(isOne(picture('cpu', 480, 12), set), true);
  assert.equal(isOne(picture('cpu', 480, 20), set), false, 'it was once, and has been spared since');
  assert.equal(isOne(picture('bandwidth', 240, 10), set), false);
  assert.equal(isOne(picture('cpu', 0, 0), undefined), false, 'nothing is sent');
  assert.equal(isOne(undefined, set), false);
});

test('or where much of what arrives whole is too late to be shown', () => {
  assert.equal(isOne(arriving(15, 5)), true);
  assert.equal(isOne(arriving(0, 3)), true);
  assert.equal(isOne(arriving(15, 2)), false);
  assert.equal(isOne(arriving(2, 2)), false, 'few frames');
  assert.equal(isOne(arriving(15, 5, 1)), false, 'what is lost can make others useless');
});

test('one line of several that is late may be its sender’s fault', () => {
  const late = (...lines) => isOverworked(lines.map((sample) => ({ sample })));
  assert.equal(late(arriving(0, 30), arriving(24, 0)), false);
  assert.equal(late(arriving(0, 30), arriving(24, 0), arriving(24, 0)), false);
  assert.equal(late(arriving(10, 10), arriving(10, 10), arriving(24, 0)), true);
  assert.equal(late(arriving(10, 10), arriving(0, 0), undefined), true, 'no picture comes on the others');
});

test('or where, of many lines, its browser answers for none soon', () => {
  const busy = (...took) => isOverworked(took.map((ms) => ({ sample: ms && { ...arriving(24, 0), took: ms } })));
  assert.equal(busy(500, 600, 700), true);
  assert.equal(busy(500, null, 700), true, 'of one, nothing is known');
  assert.equal(busy(500, 600, 20), false, 'they were waiting for something else');
  assert.equal(busy(500, 600), false, 'few lines are no work');
  assert.equal(busy(null, null, null), false);
});

test('an uplink of which nothing is known comes back', () => {
  const uplink = new Uplink();
  for (let n = 0; n < 24; n++) uplink.take([0.3]);
  const least = uplink.bits;
  for (let n = 0; n < 15; n++) uplink.take([null]);
  assert.equal(uplink.bits, least, 'a silence is none');
  for (let n = 0; n < 30; n++) uplink.take([null]);
  assert.ok(uplink.bits > 3 * least);
});

test('voices of many come in longer packets, and silence in next to none', () => {
  const chromium = 'm=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=rtpmap:111 opus/48000/2\r\n'
    + 'a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n';
  const firefox = 'm=audio 9 UDP/TLS/RTP/SAVPF 109\r\n'
    + 'a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\r\na=fmtp:101 0-15\r\n';
  assert.equal(withVoices(chromium, 2), chromium.replace('fec=1', 'fec=1;usedtx=1'));
  assert.equal(withVoices(chromium, 3), chromium.replace('fec=1', 'fec=1;usedtx=1;ptime=40'));
  assert.equal(withVoices(firefox, 7), firefox.replace('fec=1', 'fec=1;usedtx=1;ptime=40'));
  assert.equal(withVoices('v=0\r\n', 7), 'v=0\r\n');
  const video = 'm=video 9 UDP/TLS/RTP/SAVPF 96\r\n';
  const voice = chromium.replace('fec=1', 'fec=1;usedtx=1');
  assert.equal(withVoices(chromium + video + chromium, 1), voice + video + chromium,
    'the sound of a screen is left as it is');
});

test('less is tried after some seconds of too much work, and more after a calm that grows', () => {
  const machine = new Machine();
  const take = (seconds, isBusy) => {
    for (let n = 0; n < seconds; n++) machine.take(isBusy);
    return machine.spare;
  };
  assert.equal(take(4, true), 0, 'a burst is none of it');
  assert.equal(take(1, false), 0);
  assert.equal(take(5, true), 1);
  assert.equal(take(29, false), 1);
  assert.equal(take(1, false), 0);
  assert.equal(take(5, true), 1);
  assert.equal(take(59, false), 1);
  assert.equal(take(1, false), 0);
  assert.equal(take(60, true), 3);
  assert.equal(take(10 * 240, false), 0);
  assert.equal(take(5, true), 1);
  assert.equal(take(30, false), 0, 'what was long ago is forgotten');
});

// One picture that is sent to one peer, and what it was set to.
function sending(t, lines = () => [], told = {}) {
  const set = [];
  const asked = [];
  const track = { kind: 'video', enabled: true, muted: false, getSettings: () => ({ height: 720 }),
    getConstraints: () => ({ deviceId: 'own' }), applyConstraints: async (constraints) => asked.push(constraints) };
  const sender = {
    track,
    transport: {},
    getParameters: () => ({ encodings: [{}] }),
    setParameters: async ({ encodings: [encoding] }) => set.push({ ...encoding, looks: looks.length }),
  };
  const looks = [];
  const transceiver = { sender, currentDirection: 'sendrecv' };
  const connection = { connectionState: 'connected', signalingState: 'stable', getTransceivers: () => [transceiver] };
  const room = { peers: new Map([['bob', { id: 'bob', connection }]]) };
  const media = { camera: track, screen: null };
  const made = new Sending(room, media, () => looks.push(1) && lines(), { lookMs: 1, isHidden: () => false, ...told });
  t.after(() => made.end());
  return { set, connection, sender, transceiver, made, looks, asked, room, media };
}

async function until(look) {
  while (!look()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('a picture pauses only once it has been seen, and is set once for each change', { timeout: 60_000 }, async (t) => {
  const { set, sender, made, looks } = sending(t);
  made.setShown('bob', 0);
  await until(() => set.some(({ active }) => !active));
  assert.deepEqual(set.map(({ active }) => active), [true, false]);
  assert.ok(set[1].looks >= 8, `after ${set[1].looks} looks`);
  sender.track = { ...sender.track };
  await until(() => set.length === 3);
  assert.equal(set[2].active, true, 'another picture is new');
  await until(() => looks.length > set[2].looks + 3);
  assert.equal(set.length, 3);
});

test('a peer that says without end how it shows a picture is heard once a look', { timeout: 60_000 }, async (t) => {
  const { set, made, looks } = sending(t);
  const seen = looks.length;
  for (let n = 0; n < 200; n++) {
    made.setShown('bob', n % 2 ? 170 : 1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(set.length <= looks.length - seen + 1, `${set.length} times in ${looks.length - seen} looks`);
});

test('while a connection negotiates or has no path, it is left alone', { timeout: 60_000 }, async (t) => {
  const { set, connection, looks } = sending(t);
  connection.signalingState = 'have-local-offer';
  await until(() => looks.length > 2);
  connection.connectionState = 'connecting';
  connection.signalingState = 'stable';
  await until(() => looks.length > 4);
  assert.deepEqual(set, []);
  connection.connectionState = 'connected';
  await until(() => set.length);
});

test('what could not be set is set at the next look', { timeout: 60_000 }, async (t) => {
  const { set, sender } = sending(t);
  const { setParameters } = sender;
  let refused = 0;
  sender.setParameters = async (parameters) => {
    if (refused++ < 2) throw new Error('InvalidStateError');
    return setParameters(parameters);
  };
  await until(() => set.length);
  assert.equal(refused, 3);
});

test('who is short of time sends less and says so, and so does who hears it', { timeout: 60_000 }, async (t) => {
  let told = 0;
  let sample = picture('cpu', 360, 30);
  const { set, made, asked } = sending(t, () => [{ id: 'bob', samples: [{ ...sample }] }],
    { onspare: () => told++ });
  await until(() => set.some(({ maxFramerate }) => maxFramerate === 21));
  assert.ok(made.spare >= 1);
  assert.ok(told >= 1);
  assert.deepEqual(asked[0].height, { ideal: 480 });
  sample = picture('none', 480, 24);
  await until(() => made.spare === 0);
  await until(() => set.at(-1).maxFramerate === 30);
  made.setShown('bob', 1000, 2);
  await until(() => set.at(-1).maxFramerate === 15);
  made.setShown('bob', 1000);
  await until(() => set.at(-1).maxFramerate === 30);
});

test('a camera gives what anybody may be sent, and is asked for nothing else', { timeout: 60_000 }, async (t) => {
  const sizes = [1, 3, 5, 7].map((others) => cameraFor(others));
  assert.deepEqual(sizes.map(({ height }) => height), [720, 480, 360, 240]);
  assert.deepEqual(sizes.map(({ rate }) => rate), [30, 24, 20, 15]);
  assert.deepEqual(cameraFor(7, 3), { height: 90, rate: 5 });
  const { asked, room, looks, made } = sending(t);
  await until(() => looks.length > 4);
  assert.deepEqual(asked, []);
  for (const id of ['cy', 'di']) room.peers.set(id, { ...room.peers.get('bob'), id });
  made.update();
  await until(() => asked.length);
  const seen = looks.length;
  await until(() => looks.length > seen + 4);
  assert.deepEqual(asked, [{ deviceId: 'own', width: { ideal: 480 * 16 / 9 }, height: { ideal: 480 },
    frameRate: { ideal: 24 } }]);
});

const given = (captured, { path = 'direct', took = 4 } = {}) => ({ path, took, up: { captured } });
const wanted = (sample) => ({ sample, isWanted: true });

test('a camera that gives nothing for ten seconds in a row is frozen, until it gives something', () => {
  const frozen = new Frozen();
  const camera = {};
  const take = (seconds, lines, isWatched = true) => {
    for (let n = 0; n < seconds; n++) frozen.take(camera, lines, isWatched);
    return frozen.is;
  };
  const none = [wanted(given(0))];
  for (const [why, lines, isWatched] of [
    ['it is slow', [wanted(given(1))]],
    ['one connection has had a frame', [wanted(given(0)), wanted(given(2))]],
    ['one that doesn’t want it has had a frame', [wanted(given(0)), { sample: given(2), isWanted: false }]],
    ['the machine has no time', [wanted(given(0, { took: 90 }))]],
    ['nobody looks at this tab', none, false],
    ['nobody wants it', [{ sample: given(0), isWanted: false }]],
    ['nobody is there', []],
  ]) {
    take(9, none);
    assert.equal(take(1, lines, isWatched), false, why);
    assert.equal(take(9, none), false, `${why}: it counts anew`);
    take(1, lines, isWatched);
  }
  for (const [why, lines] of [
    ['there is no path', [wanted(given(0, { path: null }))]], ['the browser doesn’t say', [wanted(given(null))]],
    ['a browser that is late to answer says nothing', [wanted(undefined)]],
  ]) {
    take(9, none);
    assert.equal(take(30, lines), false, why);
    take(1, []);
  }
  take(9, none);
  take(30, [wanted(undefined)]);
  assert.equal(take(1, [...none, wanted(given(null))]), true, 'a line that doesn’t tell is no witness');
  assert.equal(take(30, none, false), true, 'it is so, whoever looks');
  assert.equal(take(9, []), true);
  assert.equal(take(1, []), false, 'nobody can tell any more');
  assert.equal(take(9, none), false);
  assert.equal(take(1, none), true);
  assert.equal(take(1, [wanted(given(1))], false), false);
  assert.equal(take(10, none), true);
  frozen.take({}, none, true);
  assert.equal(frozen.is, false, 'another camera may do better');
});

test('that a camera gives nothing is said once, and taken back', { timeout: 60_000 }, async (t) => {
  let captured = 0;
  const said = [];
  let isHidden = true;
  const sample = () => ({ ...given(captured), ...picture('none', 480, 24, captured) });
  const { made, looks, media, sender, set, transceiver } = sending(t, () => [{ id: 'bob', samples: [sample()] }],
    { onfrozen: (is) => said.push(is), isHidden: () => isHidden });
  const look = async (n) => {
    const seen = looks.length;
    await until(() => looks.length > seen + n);
    return said;
  };
  assert.deepEqual(await look(15), [], 'nobody looks at this tab');
  isHidden = false;
  media.screen = { kind: 'video' };
  assert.deepEqual(await look(15), [], 'a screen may stand still');
  media.screen = null;
  made.setShown('bob', 0);
  await look(15);
  assert.deepEqual(await look(15), [], 'nobody shows it');
  transceiver.currentDirection = 'recvonly';
  made.setShown('bob', 200);
  await until(() => set.at(-1).active);
  assert.deepEqual(await look(15), [], 'it isn’t agreed yet that anything is sent');
  transceiver.currentDirection = 'sendrecv';
  const { setParameters } = sender;
  sender.setParameters = async () => { throw new Error('not now'); };
  made.setShown('bob', 100);
  assert.deepEqual(await look(15), [], 'nobody knows what is sent');
  sender.setParameters = setParameters;
  media.camera.muted = true; // by the browser, of a camera that has hung
  await until(() => said.length);
  assert.deepEqual(await look(30), [true]);
  media.screen = { kind: 'video' };
  captured = 9;
  await look(2);
  media.screen = null;
  let seen = looks.length;
  await until(() => looks.length > seen); // what came of the screen comes once more
  captured = 0;
  assert.deepEqual(await look(15), [true], 'frames of a screen are none of the camera’s');
  captured = 7;
  await until(() => said.length > 1);
  assert.deepEqual(await look(15), [true, false]);
  captured = 0;
  await until(() => said.length > 2);
  made.end();
  assert.deepEqual(said, [true, false, true, false], 'what is over is taken back');
});
