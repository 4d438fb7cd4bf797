// Where pictures are in a recording, and the duration in its file.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layout } from '../static/js/call/layout.js';
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
