// The media module, as far as it needs no real device: what is given up, what is refused, what is
// unplugged, and in which words.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import './browser.mjs';
import { Media, MediaError } from '../static/signalbox-media.js';
import { loudness } from '../sdk/devices/meter.js';
import { deviceWords } from '../sdk/devices/words.js';

class Track extends EventTarget {
  readyState = 'live';
  enabled = true;

  constructor(kind, device) {
    super();
    this.kind = kind;
    this.device = device;
  }

  getSettings() {
    if (this.readyState === 'ended') return {}; // as in Firefox
    return { deviceId: this.device.deviceId, groupId: this.device.groupId };
  }

  stop() {
    this.readyState = 'ended';
  }
}

const device = (kind, deviceId) => ({ kind, deviceId, groupId: `group of ${deviceId}`, label: deviceId });

let plugged; // devices
let asked; // {constraints, answer, refuse} of each request
let given; // all tracks
let stored;
let mediaDevices;

function ask(constraints, kinds) {
  return new Promise((resolve, reject) => {
    const answer = () => {
      const tracks = Object.entries(kinds).filter(([kind]) => constraints[kind]).map(([kind, input]) => {
        const { exact, ideal } = constraints[kind].deviceId ?? {};
        const all = input === 'screen' ? [device(input, 'screen')] : plugged.filter((one) => one.kind === input);
        const found = all.find(({ deviceId }) => deviceId === (exact ?? ideal)) ?? (exact ? undefined : all[0]);
        if (found) return new Track(kind, found);
        throw Object.assign(new Error(), exact ? { name: 'OverconstrainedError', constraint: 'deviceId' }
          : { name: 'NotFoundError' });
      });
      given.push(...tracks);
      const of = (kind) => tracks.filter((track) => track.kind === kind);
      resolve({ getTracks: () => tracks, getVideoTracks: () => of('video'), getAudioTracks: () => of('audio') });
    };
    asked.push({
      constraints,
      answer: () => { try { answer(); } catch (error) { reject(error); } return settle(); },
      refuse: (name, message = '') => { reject(Object.assign(new Error(message), { name })); return settle(); },
    });
  });
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const live = () => given.filter(({ readyState }) => readyState === 'live').length;

function has(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

beforeEach(() => {
  plugged = [device('audioinput', 'mic 1'), device('audioinput', 'mic 2'), device('videoinput', 'camera 1'),
    device('videoinput', 'camera 2'), device('audiooutput', 'speaker 1')];
  asked = [];
  given = [];
  stored = new Map();
  mediaDevices = Object.assign(new EventTarget(), {
    enumerateDevices: async () => [...plugged],
    getUserMedia: (constraints) => ask(constraints, { audio: 'audioinput', video: 'videoinput' }),
    getDisplayMedia: (constraints) => ask(constraints, { video: 'screen' }),
  });
  has('navigator', { mediaDevices, language: 'en', permissions: { query: async () => ({ state: 'prompt' }) } });
  has('document', {});
  has('isSecureContext', true);
  has('localStorage', { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => stored.set(key, value) });
});

// All events, in short.
function record(media) {
  const events = [];
  media.on('track', ({ kind, track, reason }) => {
    events.push(`${kind} ${track ? track.device.deviceId : '-'} ${reason}`);
  });
  media.on('error', ({ kind, error }) => events.push(`${kind} ${error.code}`));
  media.on('muted', ({ kind, muted }) => events.push(`${kind} ${muted ? 'muted' : 'unmuted'}`));
  return events;
}

async function opened(options) {
  const media = new Media(options);
  const events = record(media);
  const open = media.open();
  await asked.pop().answer();
  await open;
  events.length = 0;
  return { media, events };
}

const codeOf = (promise) => promise.then(() => 'done', (error) => error instanceof MediaError && error.code);

test('what comes after the end is stopped', async () => {
  const media = new Media();
  const events = record(media);
  const open = media.open();
  const shared = codeOf(media.share());
  assert.ok(media.isPending('camera') && media.isPending('screen'));
  media.close();
  await open; // nobody waits for an answer that nobody wants
  assert.equal(await shared, 'superseded');
  for (const request of asked) await request.answer();
  assert.equal(given.length, 3);
  assert.equal(live(), 0);
  assert.deepEqual(events, []);
  assert.deepEqual([media.microphone, media.camera, media.screen, media.errorOf('camera')], [null, null, null, null]);
});

test('an answer for a request before the last is stopped, whichever comes first', async () => {
  for (const order of [[0, 1], [1, 0]]) {
    asked = [];
    given = [];
    const media = new Media();
    media.open();
    media.close();
    media.open();
    for (const index of order) await asked[index].answer();
    assert.equal(live(), 2);
    assert.deepEqual([media.microphone, media.camera].map(({ readyState }) => readyState), ['live', 'live']);
    media.close();
    assert.equal(live(), 0);
  }
});

test('a refusal that comes too late is nobody’s', async () => {
  const media = new Media();
  const events = record(media);
  media.open();
  media.close();
  await asked[0].refuse('NotAllowedError');
  assert.deepEqual(events, []);
  assert.equal(asked.length, 1);
});

test('what is muted while it is asked for is freed, or comes muted', async () => {
  const media = new Media();
  const open = media.open();
  media.mute('camera');
  media.mute('microphone');
  await asked[0].answer();
  await open;
  assert.equal(live(), 1);
  assert.equal(media.camera, null);
  assert.equal(media.microphone.enabled, false);
  assert.equal(media.isOn('microphone'), false);
});

test('muting frees the camera and keeps the microphone, or as one likes', async () => {
  const { media, events } = await opened();
  media.mute('microphone');
  media.mute('camera');
  assert.deepEqual(events, ['microphone muted', 'camera - muted', 'camera muted']);
  assert.equal(live(), 1);
  const [microphone] = given;
  assert.equal(await media.unmute('microphone'), microphone);
  assert.equal(microphone.enabled, true);
  assert.equal(asked.length, 0);
  media.mute('microphone', { free: true });
  media.mute('microphone');
  assert.equal(live(), 0);
  await media.open(['microphone']); // it stays off
  assert.equal(asked.length, 0);
  const back = media.unmute('microphone');
  await asked.pop().answer();
  assert.equal((await back).readyState, 'live');

  const other = (await opened({ frees: { microphone: true, camera: false } })).media;
  other.mute('microphone');
  other.mute('camera');
  assert.deepEqual([other.microphone, other.camera.enabled], [null, false]);
  await other.open(); // what is muted and freed stays off
  assert.equal(asked.length, 0);
});

test('two that unmute at once ask once', async () => {
  const { media } = await opened();
  media.mute('camera');
  const both = Promise.all([media.unmute('camera'), media.unmute('camera')]);
  assert.equal(asked.length, 1);
  await asked[0].answer();
  const [one, two] = await both;
  assert.equal(one, two);
});

test('the old device goes on until the new one is open, and is remembered', async () => {
  const { media, events } = await opened();
  const before = media.camera;
  const used = media.use('camera', 'camera 2');
  assert.equal(media.camera, before);
  await asked.pop().answer();
  await used;
  assert.deepEqual(events, ['camera camera 2 switched']);
  assert.equal(before.readyState, 'ended');
  assert.equal(media.deviceOf('camera'), 'camera 2');
  media.close();

  const next = new Media();
  next.open();
  assert.deepEqual(asked[0].constraints.video.deviceId, { exact: 'camera 2' });
  await asked[0].answer();
  assert.equal(next.deviceOf('camera'), 'camera 2');
});

test('a remembered device that isn’t there costs another one nothing', async () => {
  stored.set('signalbox.devices', '{"microphone":"mic 2","camera":"camera 2"}');
  plugged = plugged.filter(({ deviceId }) => deviceId !== 'mic 2');
  const media = new Media();
  const open = media.open();
  for (let i = 0; i < 2; i++) await asked[i].answer();
  await open;
  assert.deepEqual([media.deviceOf('microphone'), media.deviceOf('camera')], ['mic 1', 'camera 2']);
  assert.equal(asked.length, 2);
});

test('a device that can’t be had leaves the old one', async () => {
  const { media, events } = await opened();
  const used = codeOf(media.use('camera', 'camera 3'));
  await asked.pop().answer();
  assert.equal(await used, 'missing');
  assert.equal(media.camera.readyState, 'live');
  assert.equal(media.errorOf('camera'), null);
  assert.deepEqual(events, ['camera missing']);
  assert.equal(stored.size, 0);
});

test('on a phone, where one camera is open at a time, the old one ends first, and comes back', async () => {
  const { media, events } = await opened();
  const used = codeOf(media.use('camera', 'camera 2'));
  await asked.pop().refuse('NotReadableError');
  assert.equal(live(), 1);
  await asked.pop().refuse('NotReadableError');
  assert.equal(await used, 'busy');
  await settle();
  await asked.pop().answer();
  assert.deepEqual(events, ['camera busy', 'camera camera 1 fallback']);
  assert.equal(live(), 2);
});

test('a device that is unplugged is replaced by another one', async () => {
  const { media, events } = await opened();
  unplug(media.microphone);
  await settle();
  await asked.pop().answer();
  assert.deepEqual(events, ['microphone - ended', 'microphone ended', 'microphone unplugged',
    'microphone mic 2 fallback']);
  assert.equal(media.errorOf('microphone'), null);
});

test('the only device comes back when it is plugged in again', async () => {
  plugged = plugged.filter(({ deviceId }) => deviceId !== 'mic 2');
  const [microphone] = plugged;
  const { media, events } = await opened();
  unplug(media.microphone);
  await settle();
  assert.equal(asked.length, 0);
  assert.equal(media.errorOf('microphone').code, 'unplugged');
  plugged.push(microphone);
  mediaDevices.dispatchEvent(new Event('devicechange'));
  await settle();
  await asked.pop().answer();
  assert.equal(events.at(-1), 'microphone mic 1 fallback');
});

test('a muted or withdrawn device is not opened unasked', async () => {
  const { media } = await opened();
  media.mute('microphone');
  unplug(media.microphone);
  media.camera.stop();
  media.camera.dispatchEvent(new Event('ended')); // the visitor has taken it from the page
  await settle();
  mediaDevices.dispatchEvent(new Event('devicechange'));
  await settle();
  assert.equal(asked.length, 0);
  assert.deepEqual([media.errorOf('microphone').code, media.errorOf('camera').code], ['unplugged', 'ended']);
});

test('a device that is unplugged while another one is asked for is replaced if that can’t be had', async () => {
  const { media, events } = await opened();
  const used = codeOf(media.use('camera', 'camera 2'));
  unplug(media.camera);
  await settle();
  assert.equal(asked.length, 1); // the visitor still looks at the question
  await asked.pop().refuse('NotAllowedError');
  assert.equal(await used, 'denied');
  await settle();
  await asked.pop().answer();
  assert.equal(events.at(-1), 'camera camera 2 fallback');
  assert.equal(live(), 2);
});

test('nor is it replaced after the end, or once it is muted', async () => {
  for (const end of [(media) => media.close(), (media) => media.mute('camera')]) {
    const { media } = await opened();
    const used = codeOf(media.use('camera', 'camera 2'));
    unplug(media.camera);
    await settle();
    end(media);
    assert.equal(await used, 'superseded');
    await asked.pop().answer();
    await settle();
    assert.deepEqual([asked.length, media.camera], [0, null]);
    assert.ok(given.filter(({ kind }) => kind === 'video').every(({ readyState }) => readyState === 'ended'));
  }
});

test('a switch while the first question is open takes its place', async () => {
  const media = new Media();
  const open = media.open();
  const used = media.use('camera', 'camera 2');
  await asked[0].answer();
  await asked[1].answer();
  await Promise.all([open, used]);
  assert.deepEqual(['microphone', 'camera'].map((kind) => media.deviceOf(kind)), ['mic 1', 'camera 2']);
  assert.equal(live(), 2);
});

test('what has ended before it came is not taken for a picture', async () => {
  const media = new Media();
  const events = record(media);
  const open = media.open();
  mediaDevices.enumerateDevices = async () => plugged.filter(({ deviceId }) => deviceId !== 'camera 1');
  const answered = asked.pop().answer();
  given[1].stop();
  await answered;
  await open;
  assert.equal(media.camera, null);
  assert.ok(events.includes('camera ended'), events.join());
});

test('a fallback that fails is not tried for ever', async () => {
  const { media } = await opened();
  unplug(media.microphone);
  await settle();
  await asked.pop().refuse('NotReadableError');
  await settle();
  assert.equal(asked.length, 0);
  assert.equal(media.errorOf('microphone').code, 'busy');
});

test('after the end nobody follows devices', async () => {
  const { media, events } = await opened();
  unplug(media.microphone);
  media.close();
  events.length = 0;
  await settle();
  mediaDevices.dispatchEvent(new Event('devicechange'));
  await settle();
  assert.equal(asked.length, 0);
  assert.deepEqual(events, []);
});

test('one refusal answers for both, a missing device for itself', async () => {
  let media = new Media();
  let open = media.open();
  await asked.pop().refuse('NotAllowedError');
  await open;
  assert.equal(asked.length, 0);
  assert.deepEqual([media.errorOf('microphone').code, media.errorOf('camera').code], ['denied', 'denied']);

  plugged = plugged.filter(({ kind }) => kind !== 'videoinput');
  media = new Media();
  open = media.open();
  for (let i = 0; i < 3; i++) await asked[i].answer();
  await open;
  assert.equal(media.isOn('microphone'), true);
  assert.equal(media.errorOf('camera').code, 'missing');
});

test('a camera that is blocked costs nobody the microphone', async () => {
  navigator.permissions.query = async ({ name }) => ({ state: name === 'camera' ? 'denied' : 'granted' });
  const media = new Media();
  const open = media.open();
  await asked.pop().refuse('NotAllowedError');
  await asked.pop().answer();
  await open;
  assert.equal(media.isOn('microphone'), true);
  assert.equal(media.errorOf('camera').code, 'denied');
});

test('every error of the browsers has a code', async () => {
  for (const [name, message, code] of [
    ['NotAllowedError', 'Permission denied', 'denied'],
    ['NotAllowedError', 'Permission dismissed', 'dismissed'],
    ['NotAllowedError', 'Permission denied by system', 'system'],
    ['SecurityError', '', 'denied'],
    ['NotFoundError', 'Requested device not found', 'missing'],
    ['OverconstrainedError', '', 'constraints'],
    ['NotReadableError', 'Could not start video source', 'busy'],
    ['AbortError', 'Starting videoinput failed', 'busy'],
    ['InvalidStateError', '', 'gesture'],
    ['TypeError', '', 'failed'],
  ]) {
    const media = new Media();
    const camera = codeOf(media.unmute('camera'));
    await asked.pop().refuse(name, message);
    assert.equal(await camera, code, `${name}: ${message}`);
  }
  document.featurePolicy = { allowsFeature: (feature) => feature !== 'display-capture' };
  const shared = codeOf(new Media().share());
  await asked.pop().refuse('NotAllowedError');
  assert.equal(await shared, 'policy');
  document.featurePolicy = undefined;
  const chosen = codeOf(new Media().share());
  await asked.pop().refuse('NotAllowedError', 'Permission denied by user');
  assert.equal(await chosen, 'dismissed');
  navigator.mediaDevices = undefined;
  assert.equal(await codeOf(new Media().share()), 'unsupported');
  assert.equal(await codeOf(new Media().unmute('camera')), 'unsupported');
  isSecureContext = false;
  assert.equal(await codeOf(new Media().unmute('camera')), 'insecure');
  await new Media().open();
});

test('every code has words in both languages', async () => {
  const types = await import('node:fs/promises').then(({ readFile }) => (
    readFile(new URL('../static/signalbox-media.d.ts', import.meta.url), 'utf8')));
  const codes = [.../MediaErrorCode =([^;]*);/.exec(types)[1].matchAll(/'(\w+)'/g)].map(([, code]) => code);
  assert.ok(codes.length > 10);
  for (const code of codes) {
    for (const kind of ['microphone', 'camera', 'screen', 'speaker']) {
      assert.match(deviceWords(code, kind, 'en-US'), new RegExp(`${kind}.*\\.$`));
      assert.match(deviceWords(code, kind, 'zh-CN'), /(麦克风|摄像头|屏幕|扬声器).*。$/);
    }
  }
  assert.equal(new MediaError('busy', 'camera').words(),
    'Another program is using the camera: close that one, then try again.');
  assert.equal(new MediaError('busy', 'camera').words('zh-Hans'), '摄像头正被其他程序占用：请关闭该程序后再试。');
});

test('a screen stands beside the camera, and ends by the browser’s own button', async () => {
  const { media, events } = await opened();
  const shared = media.share();
  await asked.pop().answer();
  assert.equal(await shared, media.screen);
  assert.ok(media.camera && media.screen);
  media.screen.stop();
  given.at(-1).dispatchEvent(new Event('ended'));
  assert.deepEqual(events, ['screen screen opened', 'screen - ended']);
  assert.equal(media.errorOf('screen'), null);
});

test('one speaker is for all that plays, and the system’s when it is gone', async () => {
  class Element {
    sinkId = '';

    async setSinkId(id) {
      const isThere = id === '' || plugged.some(({ deviceId }) => deviceId === id);
      if (!isThere) throw Object.assign(new Error(), { name: 'NotFoundError' });
      this.sinkId = id;
    }
  }
  has('HTMLMediaElement', Element);
  has('Audio', Element);
  const { media } = await opened();
  const [first, second, third] = [new Element(), new Element(), new Element()];
  media.play(first);
  const silence = media.play(third);
  silence();
  await media.use('speaker', 'speaker 1');
  media.play(second);
  await settle();
  assert.deepEqual([first.sinkId, second.sinkId, third.sinkId], ['speaker 1', 'speaker 1', '']);
  assert.equal(await codeOf(media.use('speaker', 'speaker 2')), 'missing');
  assert.deepEqual([first.sinkId, media.deviceOf('speaker')], ['speaker 1', 'speaker 1']);
  plugged = plugged.map((one) => (one.kind === 'audiooutput' ? device('audiooutput', 'speaker 3') : one));
  mediaDevices.dispatchEvent(new Event('devicechange'));
  await settle();
  assert.deepEqual([first.sinkId, media.deviceOf('speaker')], ['', '']);
  plugged.push(device('audiooutput', 'speaker 1'));
  mediaDevices.dispatchEvent(new Event('devicechange'));
  await settle();
  assert.equal(first.sinkId, 'speaker 1');
  delete Element.prototype.setSinkId;
  assert.equal(await codeOf(media.use('speaker', '')), 'unsupported');
});

test('storage that is denied, or written by somebody else, costs only the memory', async () => {
  for (const [getItem, setItem] of [
    [() => { throw new Error('denied'); }, () => { throw new Error('denied'); }],
    [() => '{', () => {}], [() => '[1]', () => {}], [() => '{"camera":{}}', () => {}], [() => 'null', () => {}],
  ]) {
    has('localStorage', { getItem, setItem });
    const { media } = await opened();
    const used = media.use('camera', 'camera 2');
    await asked.pop().answer();
    await used;
    assert.equal(media.deviceOf('camera'), 'camera 2');
  }
});

test('two tabs remember what is chosen in either', async () => {
  const [{ media: one }, { media: other }] = [await opened(), await opened()];
  for (const [media, kind, id] of [[one, 'camera', 'camera 2'], [other, 'microphone', 'mic 2']]) {
    const used = media.use(kind, id);
    await asked.pop().answer();
    await used;
  }
  assert.deepEqual(JSON.parse(stored.get('signalbox.devices')), { camera: 'camera 2', microphone: 'mic 2' });
});

test('loudness is on a scale of decibels', () => {
  const tone = (amplitude) => loudness(Float32Array.from({ length: 2048 }, (_, i) => amplitude * Math.sin(i / 5)));
  assert.equal(tone(0), 0);
  assert.equal(tone(0.0001), 0);
  assert.ok(Math.abs(tone(1) - tone(0.1) - 20 / 60) < 0.001);
  assert.ok(tone(1) > 0.9 && loudness(new Float32Array(8).fill(1)) === 1);
});

function unplug(track) {
  plugged = plugged.filter(({ deviceId }) => deviceId !== track.device.deviceId);
  track.stop();
  track.dispatchEvent(new Event('ended'));
}
