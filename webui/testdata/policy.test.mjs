// How much of a picture each of the others in a call is sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodingOf, Uplink } from '../static/js/call/policy.js';

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

test('an uplink that loses much has less room, and more again once it is sound', () => {
  const uplink = new Uplink();
  assert.equal(uplink.take(null), false);
  assert.equal(uplink.take(0), false);
  assert.equal(uplink.take(0.2), true);
  assert.equal(uplink.bits, 2_100_000);
  assert.equal(uplink.take(0.05), false, 'a little is left as it is');
  for (let n = 0; n < 30; n++) uplink.take(0.5);
  assert.equal(uplink.bits, 100_000);
  for (let n = 0; n < 60; n++) uplink.take(0);
  assert.equal(uplink.bits, 3_000_000);
});
