// What the browser reported of servers: a saved report may hold any number of errors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from './page.mjs';

open('check');
const { addError } = await import('../static/js/check/view.js');

test('equal errors are one line, and of many only the first are shown', () => {
  const server = { url: 'stun:box', origin: 'box' };
  for (const n of [...Array(250).keys(), 0, 0]) addError(server, { code: 701, text: `No ${n}.`, ms: n }, false);
  const { children } = document.getElementById('errors');
  assert.equal(children.length, 200);
  assert.match(children[0].textContent, /3 times/);
  assert.match(document.getElementById('errors-more').textContent, /50 more/);
});
