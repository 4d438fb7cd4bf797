// Which names a room may have, and which room a link leads to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRoomName, roomOf } from '../static/js/room.js';

test('names that the hub takes', () => {
  for (const name of [
    'tea',
    'amber-birch-0042',
    '茶',
    'a/b',
    '50%',
    ' ',
    '…',
    '...',
    'x'.repeat(128),
    '🫖'.repeat(128),
  ]) {
    assert.equal(isRoomName(name), true, JSON.stringify(name));
    assert.equal(roomOf(`/call/${encodeURIComponent(name)}`), name);
  }
});

test('names that the hub refuses, or that no link can say', () => {
  for (const name of [
    '',
    '.',
    '..',
    'x'.repeat(129),
    'a\nb',
    '\0',
    'a\x7f',
    'a\x85',
    'a\u2028b',
    'a\u202eb',
    'a\u2066b',
    '\ud800',
  ]) {
    assert.equal(isRoomName(name), false, JSON.stringify(name));
  }
});

test('links without a room', () => {
  for (const path of [
    '/call/',
    '/call',
    '/call/%FF',
    '/call/%',
    '/call/%E8%8C',
    '/call/a%00b',
    '/call/%E2%80%AEb',
    `/call/${'x'.repeat(129)}`,
  ]) {
    assert.equal(roomOf(path), null, path);
  }
});
