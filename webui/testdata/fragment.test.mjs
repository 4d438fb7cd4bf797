// What links bring behind their #.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inFragment } from '../static/js/fragment.js';

test('S16: a token is taken as it is, a + in it too', () => {
  for (const [hash, token] of [
    ['', null],
    ['#', null],
    ['#room=tea', null],
    ['#token=a+b', 'a+b'],
    ['#token=a%2Bb%26c', 'a+b&c'],
    ['#token=a%20b', 'a b'],
    ['#token=100%', '100%'],
    ['#room=tea&token=eyJh.eyJi.c-_', 'eyJh.eyJi.c-_'],
  ]) {
    assert.equal(inFragment(hash, 'token'), token, hash);
  }
});
