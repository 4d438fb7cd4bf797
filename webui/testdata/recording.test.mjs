// Where pictures are in a recording, the duration in its file, and what of it a full disk keeps.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftovers, openDisk } from '../static/js/call/disk.js';
import { layout } from '../static/js/call/layout.js';
import { durationsIn } from '../static/js/call/mp4.js';
import { Tape } from '../static/js/call/tape.js';
import { withRoom } from '../static/js/call/webm.js';

const EBML = [0x1a, 0x45, 0xdf, 0xa3, 0x84, 0x42, 0x86, 0x81, 1];
const SEGMENT = [0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const SCALE = [0x2a, 0xd7, 0xb1, 0x83, 0x0f, 0x42, 0x40];
const CLUSTER = [0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe7, 0x81, 0];
const info = (...inside) => [0x15, 0x49, 0xa9, 0x66, 0x80 + inside.length, ...inside];
const file = (...parts) => new Uint8Array(parts.flat());

test('a duration has room in the head, and stands there at the end', () => {
  const { bytes, fields: [{ at, of }] } = withRoom(file(EBML, SEGMENT, info(...SCALE), CLUSTER));
  bytes.set(of(2500), at);
  const start = EBML.length + SEGMENT.length;
  assert.deepEqual([...bytes.slice(0, start)], [...EBML, ...SEGMENT]);
  assert.deepEqual([...bytes.slice(start, start + 9)], [0x15, 0x49, 0xa9, 0x66, 0x08, 0, 0, 0, SCALE.length + 11]);
  assert.deepEqual([...bytes.slice(start + 9, start + 19)], [...SCALE, 0x44, 0x89, 0x88]);
  assert.equal(at, start + 19);
  assert.equal(new DataView(bytes.buffer).getFloat64(at), 2500);
  assert.deepEqual([...bytes.slice(at + 8)], CLUSTER);
});

// Firefox makes no positions, but leaves room for them.
const NO_SEEKS = [0x11, 0x4d, 0x9b, 0x74, 0x80];
const SEEKS = [0x11, 0x4d, 0x9b, 0x74, 0x83, 0x4d, 0xbb, 0x80];

test('a duration that is there already is written over', () => {
  for (const seeks of [[], NO_SEEKS, SEEKS]) {
    const whole = file(EBML, SEGMENT, seeks, info(...SCALE, 0x44, 0x89, 0x88, 0, 0, 0, 0, 0, 0, 0, 0), CLUSTER);
    const { bytes, fields: [{ at }] } = withRoom(whole);
    assert.equal(bytes, whole);
    assert.equal(at, EBML.length + SEGMENT.length + seeks.length + 5 + SCALE.length + 3);
  }
});

test('positions in a file are never made wrong', () => {
  assert.equal(withRoom(file(EBML, SEGMENT, SEEKS, info(...SCALE), CLUSTER)), null);
  assert.ok(withRoom(file(EBML, SEGMENT, NO_SEEKS, info(...SCALE), CLUSTER)));
});

// A box of ISO/IEC 14496-12; a full one begins with its version and flags.
const box = (type, ...inside) => {
  const bytes = inside.flat();
  const size = bytes.length + 8;
  return [0, 0, size >> 8, size & 0xff, ...[...type].map((letter) => letter.charCodeAt(0)), ...bytes];
};
const number = (value, length) => [...value.toString(16).padStart(length * 2, '0').matchAll(/../g)]
  .map(([digits]) => parseInt(digits, 16));
const DATES = [[0, 0, 0, 0], [0, 0, 0, 0]];

// What Chromium writes: durations of the first fragment, those of tracks in the movie's unit.
const LONG = [[1, 0, 0, 0], [...DATES, ...DATES]].flat(2);
const long = (type, ...fields) => box(type, LONG, fields.flat());
const track = (unit) => box('trak', long('tkhd', number(1, 4), number(0, 4), number(1821, 8), new Array(60).fill(0)),
  box('mdia', long('mdhd', number(unit, 4), number(1821, 8), [0x55, 0xc4, 0, 0]), box('hdlr', new Array(37).fill(0))));
const CHROMIUM = [box('ftyp', number(0, 8)), box('moov',
  long('mvhd', number(1000, 4), number(1821, 8), new Array(80).fill(0)), track(48_000), track(30_000),
  box('mvex', box('trex', new Array(24).fill(0))))].flat();

// Others leave all of them 0, in 32 bits, and have one for all fragments.
const SHORT = [box('ftyp', number(0, 8)), box('moov',
  box('mvhd', [0, 0, 0, 0], DATES.flat(), number(600, 4), number(0, 4), new Array(80).fill(0)),
  box('trak', box('tkhd', [0, 0, 0, 7], DATES.flat(), number(1, 4), number(0, 4), number(0, 4), new Array(60).fill(0)),
    box('mdia', box('mdhd', [0, 0, 0, 0], DATES.flat(), number(44_100, 4), number(0, 4), [0x55, 0xc4, 0, 0]))),
  box('mvex', box('mehd', [0, 0, 0, 0], number(0, 4)), box('trex', new Array(24).fill(0))))].flat();

// How long each box says that it is, in its ticks, after a recording of 24.92 s.
function ticks(head) {
  const { bytes, fields } = durationsIn(head);
  for (const { at, of } of fields) bytes.set(of(24_920), at);
  assert.equal(bytes.length, head.length);
  return fields.map(({ at, of }) => {
    const view = new DataView(bytes.buffer, at);
    return of(0).length === 8 ? Number(view.getBigUint64(0)) : view.getUint32(0);
  });
}

test('the durations in an MP4’s head are those of the recording, each in its own unit', () => {
  assert.deepEqual(ticks(file(CHROMIUM)), [24_920, 24_920, 1_196_160, 24_920, 747_600]);
  assert.deepEqual(ticks(file(SHORT)), [14_952, 14_952, 1_098_972, 14_952]);
});

test('what is no whole head of an MP4 is left alone', () => {
  for (let length = 0; length < CHROMIUM.length; length++) {
    assert.equal(durationsIn(file(CHROMIUM).subarray(0, length)), null);
  }
  const short = box('moov', box('mvhd', [1, 0, 0, 0]));
  const beyond = [...box('moov', long('mvhd', number(1000, 4), number(1821, 8)))];
  beyond[11]++; // the box ends after the one that it is in
  for (const bytes of [short, box('moof', short), new Array(64).fill(0xff)]) {
    assert.equal(durationsIn(file(bytes)), null);
  }
  assert.deepEqual(durationsIn(file(beyond)).fields, []);
});

test('what is no such file is left alone', () => {
  for (const bytes of [file(), file([0]), file(EBML), file(EBML, SEGMENT), file(EBML, SEGMENT, CLUSTER),
    file(EBML, SEGMENT, info(...SCALE).slice(0, 8)), new Uint8Array(64).fill(0xff), new Uint8Array(64)]) {
    assert.equal(withRoom(bytes), null);
  }
});

test('pictures don’t lie upon each other, and fill what there is', () => {
  for (let people = 1; people <= 9; people++) {
    for (let screens = 0; screens <= 2; screens++) {
      const all = layout([...new Array(screens).fill(true), ...new Array(people).fill(false)], 1280, 720);
      assert.equal(all.length, people + screens);
      for (const [n, a] of all.entries()) {
        assert.ok(a.x >= 0 && a.y >= 0 && a.x + a.width <= 1280.1 && a.y + a.height <= 720.1, JSON.stringify(a));
        for (const b of all.slice(n + 1)) {
          const apart = a.x + a.width <= b.x + 0.1 || b.x + b.width <= a.x + 0.1 || a.y + a.height <= b.y + 0.1
            || b.y + b.height <= a.y + 0.1;
          assert.ok(apart, `${people} people, ${screens} screens`);
        }
      }
    }
  }
  assert.deepEqual(layout([], 1280, 720), []);
});

const MiB = 1024 * 1024;

// A file as browsers have it: what is written becomes its content once it is closed, and after a
// write that fails it can't be.
class FakeFile {
  content = new Uint8Array();
  lastModified = Date.now();
  name;
  room; // bytes

  constructor(room, name) {
    this.room = room;
    this.name = name;
  }

  async createWritable({ keepExistingData = false } = {}) {
    let bytes = keepExistingData ? this.content.slice() : new Uint8Array();
    let isOpen = true;
    const check = () => {
      if (!isOpen) throw new TypeError('the stream is closed or errored');
    };
    return {
      write: async ({ data, position }) => {
        check();
        isOpen = position + data.length <= this.room;
        if (!isOpen) throw new DOMException('full', 'QuotaExceededError');
        const grown = new Uint8Array(Math.max(bytes.length, position + data.length));
        grown.set(bytes);
        grown.set(data, position);
        bytes = grown;
      },
      close: async () => {
        check();
        isOpen = false;
        this.content = bytes;
      },
    };
  }

  async getFile() {
    return Object.assign(new Blob([this.content]), { lastModified: this.lastModified });
  }
}

async function withPicked(room, use) {
  const picked = new FakeFile(room);
  globalThis.showSaveFilePicker = async () => picked;
  try {
    await use(new Tape(await openDisk('call.webm', 'video/webm')), picked);
  } finally {
    delete globalThis.showSaveFilePicker;
  }
}

const HEAD = file(EBML, SEGMENT, info(...SCALE), CLUSTER);
const [{ at: AT }] = withRoom(HEAD).fields;
const durationIn = (bytes) => new DataView(bytes.buffer).getFloat64(AT);

test('a recording is whole in its file', async () => {
  await withPicked(Infinity, async (tape, picked) => {
    await tape.write(HEAD, 1000);
    await tape.write(new Uint8Array(100), 2000);
    assert.equal(tape.isFull, false);
    assert.equal(await tape.end(2500), 'saved');
    assert.equal(picked.content.length, withRoom(HEAD).bytes.length + 100);
    assert.equal(durationIn(picked.content), 2500);
  });
});

test('a head that comes in pieces has a duration, too', async () => {
  await withPicked(Infinity, async (tape, picked) => {
    for (const byte of HEAD) await tape.write(new Uint8Array([byte]), 0);
    await tape.write(new Uint8Array(100), 2500);
    assert.equal(await tape.end(2500), 'saved');
    assert.equal(picked.content.length, withRoom(HEAD).bytes.length + 100);
    assert.equal(durationIn(picked.content), 2500);
  });
});

test('an MP4 has a duration in its file, too', async () => {
  await withPicked(Infinity, async (tape, picked) => {
    await tape.write(file(CHROMIUM).subarray(0, 100), 1000);
    await tape.write(file(CHROMIUM).subarray(100), 2000);
    await tape.write(new Uint8Array(100), 3000);
    assert.equal(await tape.end(24_920), 'saved');
    assert.equal(picked.content.length, CHROMIUM.length + 100);
    const whole = file(CHROMIUM);
    ticks(whole);
    assert.deepEqual(picked.content.subarray(0, whole.length), whole);
  });
});

test('a full disk, and a tab that dies, keep what came before', async (t) => {
  t.mock.method(console, 'warn', () => {});
  await withPicked(10.5 * MiB, async (tape, picked) => {
    await tape.write(HEAD, 0);
    for (let n = 1; n <= 10; n++) await tape.write(new Uint8Array(MiB), n * 1000);
    assert.ok(picked.content.length > 8 * MiB, `${picked.content.length} bytes, should the tab die now`);
    assert.equal(durationIn(picked.content), 8000);
    await tape.write(new Uint8Array(MiB), 11_000);
    assert.equal(tape.isFull, true);
    await tape.write(new Uint8Array(1), 11_500); // what the recorder gives at its end
    assert.equal(await tape.end(11_500), 'cut');
    assert.ok(picked.content.length > 8 * MiB);
    assert.equal(durationIn(picked.content), 8000);
  });
  await withPicked(100, async (tape) => {
    await tape.write(new Uint8Array(101), 1000);
    assert.equal(await tape.end(1000), 'lost');
  });
});

// The browser's own disk, with the locks of all its tabs.
function fakeStore(t) {
  const files = new Map();
  const locks = new Set();
  const folder = {
    keys: () => files.keys(),
    getFileHandle: async (name, { create = false } = {}) => {
      if (!create && !files.has(name)) throw new DOMException('', 'NotFoundError');
      return files.get(name) ?? files.set(name, new FakeFile(MiB, name)).get(name);
    },
    removeEntry: async (name) => files.delete(name),
  };
  const request = async (name, ...rest) => {
    if (rest.length > 1 && locks.has(name)) return rest[1](null);
    locks.add(name);
    await rest.at(-1)({ name });
    locks.delete(name);
  };
  const own = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { configurable: true, value: {
    storage: { getDirectory: async () => folder }, locks: { request } } });
  const downloads = [];
  globalThis.document = { createElement: () => ({ click() { downloads.push(this.download); } }) };
  t.after(() => {
    if (own) Object.defineProperty(globalThis, 'navigator', own);
    else delete globalThis.navigator;
    delete globalThis.document;
  });
  return { files, locks, downloads };
}

test('what the browser’s downloads were given stays until it is deleted', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { files, locks, downloads } = fakeStore(t);
  const tapes = [];
  for (const name of ['a.webm', 'b.webm']) tapes.push(new Tape(await openDisk(name, 'video/webm')));
  files.set('recording-of-a-dead-tab', new FakeFile(0)).set('other', new FakeFile(0));
  files.set('recording-gone.handed', new FakeFile(0));
  assert.deepEqual(await leftovers(), []);
  assert.equal(files.size, 3, 'two that go on, and one that is none of ours');
  for (const tape of tapes) {
    await tape.write(HEAD, 0);
    assert.equal(await tape.end(1000), 'handed');
  }
  assert.deepEqual(downloads, ['a.webm', 'b.webm']);
  assert.equal(locks.size, 0);
  const handed = await leftovers();
  assert.deepEqual(handed.map(({ name, isHanded }) => [name, isHanded]), [['a.webm', true], ['b.webm', true]]);
  await handed[0].save();
  assert.equal(downloads.at(-1), 'a.webm');
  for (const each of await leftovers()) await each.remove();
  assert.deepEqual([...files.keys()], ['other']);
  assert.equal(locks.size, 0);
});

test('what was just handed stays beside older ones, is offered last, and goes after a day', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { files, locks } = fakeStore(t);
  const minute = 60_000;
  const now = Date.now();
  const make = async (name, age) => {
    const tape = new Tape(await openDisk(name, 'video/webm'));
    await tape.write(HEAD, 0);
    await tape.write(new Uint8Array(MiB / 2), 1000);
    [...files.values()].at(-1).lastModified = now - age * minute;
    return tape;
  };
  for (const name of ['1', '2', '3']) await make(name, Number(name));
  locks.clear(); // they crash
  for (const [name, age] of [['e', 50], ['d', 40], ['c', 9], ['b', 8], ['a', 7]]) {
    await (await make(name, 5 * 24 * 60)).end(1000);
    [...files.values()].at(-1).lastModified = now - age * minute;
  }
  await (await make('f', 0)).end(1000);
  const names = async (at) => (await leftovers(at)).map(({ name }) => name).join('');
  assert.equal(await names(now), '123cbaf', 'the oldest are gone, but none that may still be copied');
  await (await leftovers(now)).find(({ name }) => name === 'c').save();
  assert.equal(await names(now), '123bafc');
  assert.equal(await names(now + 60 * minute), '123afc');
  assert.equal(await names(now + 24 * 60 * minute + minute), '123', 'others may use the same browser');
});

test('a recorder that fails to begin holds nothing', async (t) => {
  const { files, locks } = fakeStore(t);
  const stopped = [];
  const track = () => ({ stop: () => stopped.push(true) });
  const canvas = { getContext: () => new Proxy({}, { get: () => () => {} }),
    captureStream: () => ({ getTracks: () => [track()] }) };
  let closed = 0;
  let failing = 'constructor';
  const fakes = {
    document: { createElement: () => canvas },
    AudioContext: class { close() { closed++; } },
    MediaStreamAudioDestinationNode: class { stream = { getTracks: () => [track()] }; },
    MediaStream: class {
      constructor(tracks) { this.getTracks = () => tracks; }
    },
    MediaRecorder: class {
      static isTypeSupported() { return true; }

      constructor(stream) {
        if (failing === 'constructor') throw new DOMException('', 'NotSupportedError');
        this.stream = stream;
      }

      start() { throw new DOMException('', 'NotSupportedError'); }
    },
  };
  Object.assign(globalThis, fakes);
  t.after(() => Object.keys(fakes).forEach((name) => delete globalThis[name]));
  const { Recorder } = await import('../static/js/call/recorder.js');
  for (failing of ['constructor', 'start']) {
    await assert.rejects(new Recorder(() => ({ pictures: [], tracks: [] }), () => {}).start('call'));
    assert.deepEqual([files.size, locks.size], [0, 0], failing);
  }
  assert.equal(closed, 2);
  assert.equal(stopped.length, 4, 'the tracks that were made for it');
});

test('what a dead tab has left is offered: the newest, for some days', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { files, locks, downloads } = fakeStore(t);
  const now = Date.now();
  for (const [n, days] of [9, 0, 1, 2, 3].entries()) {
    const tape = new Tape(await openDisk(`${'长'.repeat(100)}-${n}.webm`, 'video/webm'));
    await tape.write(HEAD, 0);
    await tape.write(new Uint8Array(MiB / 2), 1000);
    [...files.values()].at(-1).lastModified = now - days * 24 * 60 * 60_000;
  }
  const [own] = files.keys();
  files.set(`${own}.crswap`, new FakeFile(MiB));
  assert.deepEqual(await leftovers(now), [], 'while their tabs are there');
  assert.equal(files.delete(`${own}.crswap`), true, 'what Chromium writes to is its own');
  locks.clear(); // they crash
  const left = await leftovers(now);
  assert.deepEqual(left.map(({ name }) => [...name].slice(-6).join('')), ['1.webm', '2.webm', '3.webm']);
  assert.equal(files.size, 3, 'the others are gone');
  assert.ok(left.every(({ name, size }) => [...name].length === 50 && size > MiB / 2));
  await left[0].save();
  assert.deepEqual(downloads, [left[0].name]);
  await left[1].remove();
  assert.deepEqual((await leftovers(now)).map(({ name }) => name), [left[2].name, left[0].name],
    'what is new is first');
  assert.deepEqual(await leftovers(now + 8 * 24 * 60 * 60_000), []);
  assert.equal(files.size, 0);
});
