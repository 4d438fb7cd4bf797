// Which names a room may have, which room a link leads to, and what others see of a name.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { isRoomName, roomOf, wayTo } from '../static/js/room.js';
import { visible } from '../static/js/text.js';

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

const HERE = new URL('https://box.example.org:8443/');

test('what is pasted or typed into the field for a room', () => {
  const nfc = '/call/caf%C3%A9';
  for (const [text, href] of [
    ['tea', '/call/tea'],
    ['  Tea \u200b', '/call/Tea'], // case is the hub's matter
    ['cafe\u0301', nfc],
    ['caf\u00e9', nfc],
    ['te\u200ba', '/call/tea'],
    ['a/b', '/call/a%2Fb'],
    ['https://box.example.org:8443/call/tea', '/call/tea'],
    ['https://box.example.org:8443/call/tea/', '/call/tea'],
    [' https://box.example.org:8443/call/tea\u200b\n', '/call/tea'],
    ['HTTPS://BOX.example.org:8443/call/Tea', '/call/Tea'],
    ['https://box.example.org:8443/call/cafe%CC%81', nfc],
    ['https://box.example.org:8443/call/tea?relay=1#token=a%2Bb', '/call/tea?relay=1#token=a%2Bb'],
    ['box.example.org:8443/call/tea', '/call/tea'],
    ['/call/tea', '/call/tea'],
    ['https://other.example.org/call/tea#token=x', 'https://other.example.org/call/tea#token=x'],
    ['other.example.org/call/tea', '/call/other.example.org%2Fcall%2Ftea'],
    ['javascript:/call/tea', '/call/javascript%3A%2Fcall%2Ftea'],
    ['https://box.example.org:8443/check', '/call/https%3A%2F%2Fbox.example.org%3A8443%2Fcheck'],
    ['https://', '/call/https%3A%2F%2F'],
    ['🫖'.repeat(128), `/call/${encodeURIComponent('🫖'.repeat(128))}`],
  ]) {
    assert.deepEqual(wayTo(text, HERE), { href }, JSON.stringify(text));
  }
});

test('what is too long or leads nowhere is said, and nothing is cut', () => {
  for (const [text, problem, count] of [
    ['', 'home.room.empty'],
    [' \u200b\u3164', 'home.room.empty'],
    ['..', 'home.room.invalid'],
    ['x'.repeat(129), 'home.room.long', 129],
    ['🫖'.repeat(200), 'home.room.long', 200],
    ['https://box.example.org:8443/call/%FF', 'home.room.link'],
    [`/call/${'x'.repeat(129)}`, 'home.room.link'],
  ]) {
    const found = wayTo(text, HERE);
    assert.equal(found.href, undefined, JSON.stringify(text));
    assert.deepEqual([found.problem, found.params?.count], [problem, count], JSON.stringify(text));
  }
});

test('a link says the room however it is written', () => {
  for (const path of ['/call/caf%C3%A9', '/call/cafe%CC%81', '/call/cafe%CC%81/', '/call/caf%C3%A9%E2%80%8B']) {
    assert.equal(roomOf(path), 'caf\u00e9', path);
  }
  assert.equal(roomOf('/call/%E2%80%8B'), null);
});

test('of a name is sent what others can see', async () => {
  const names = JSON.parse(await readFile(process.env.NAMES, 'utf8'));
  assert.ok(names.length >= 30);
  for (const [name, seen] of names) {
    assert.equal(visible(name), seen, JSON.stringify(name));
    assert.equal(visible(seen), seen, JSON.stringify(name));
  }
  assert.equal(visible('a\u0000b\u202ec\u2028d\ud800'), 'abc d');
});
