// Where pictures are in a recording, the duration in its file, and what of it a full disk keeps.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDisk, sweep } from '../static/js/call/disk.js';
import { layout } from '../static/js/call/layout.js';
import { Tape } from '../static/js/call/tape.js';
import { durationOf, withRoom } from '../static/js/call/webm.js';

const EBML = [0x1a, 0x45, 0xdf, 0xa3, 0x84, 0x42, 0x86, 0x81, 1];
const SEGMENT = [0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const SCALE = [0x2a, 0xd7, 0xb1, 0x83, 0x0f, 0x42, 0x40];
const CLUSTER = [0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe7, 0x81, 0];
const info = (...inside) => [0x15, 0x49, 0xa9, 0x66, 0x80 + inside.length, ...inside];
const file = (...parts) => new Uint8Array(parts.flat());

test('a duration has room in the head, and stands there at the end', () => {
  const { bytes, at, scale } = withRoom(file(EBML, SEGMENT, info(...SCALE), CLUSTER));
  assert.equal(scale, 1_000_000);
  bytes.set(durationOf(2500, scale), at);
  const start = EBML.length + SEGMENT.length;
  assert.deepEqual([...bytes.slice(0, start)], [...EBML, ...SEGMENT]);
  assert.deepEqual([...bytes.slice(start, start + 9)], [0x15, 0x49, 0xa9, 0x66, 0x08, 0, 0, 0, SCALE.length + 11]);
  assert.deepEqual([...bytes.slice(start + 9, start + 19)], [...SCALE, 0x44, 0x89, 0x88]);
  assert.equal(at, start + 19);
  assert.equal(new DataView(bytes.buffer).getFloat64(at), 2500);
  assert.deepEqual([...bytes.slice(at + 8)], CLUSTER);
});

test('a duration that is there already is written over', () => {
  const whole = file(EBML, SEGMENT, info(...SCALE, 0x44, 0x89, 0x88, 0, 0, 0, 0, 0, 0, 0, 0), CLUSTER);
  const { bytes, at } = withRoom(whole);
  assert.equal(bytes, whole);
  assert.equal(at, EBML.length + SEGMENT.length + 5 + SCALE.length + 3);
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
  room; // bytes

  constructor(room) {
    this.room = room;
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
    return new Blob([this.content]);
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
const AT = withRoom(HEAD).at;
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
    getFileHandle: async (name) => files.set(name, new FakeFile(MiB)).get(name),
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

test('nothing stays on the browser’s own disk', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { files, locks, downloads } = fakeStore(t);
  const tapes = [];
  for (const name of ['a.webm', 'b.webm']) tapes.push(new Tape(await openDisk(name, 'video/webm')));
  files.set('recording-of-a-dead-tab', new FakeFile(0)).set('other', new FakeFile(0));
  await sweep();
  assert.equal(files.size, 3, 'two that go on, and one that is none of ours');
  for (const tape of tapes) {
    await tape.write(HEAD, 0);
    assert.equal(await tape.end(1000), 'saved');
  }
  assert.deepEqual(downloads, ['a.webm', 'b.webm']);
  await sweep();
  assert.equal(files.size, 3, 'while the browser copies them');
  t.mock.timers.tick(60 * 60_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([[...files.keys()], locks.size], [['other'], 0]);
});
