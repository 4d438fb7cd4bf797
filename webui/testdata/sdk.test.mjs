// The SDK's modules, the file that they are joined to, and the types that describe it are one.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';

import './browser.mjs';
import * as joined from '../static/signalbox.js';
import * as modules from '../sdk/signalbox.js';

const types = await readFile(new URL('../static/signalbox.d.ts', import.meta.url), 'utf8');

test('the joined module exports what its modules and its types do', () => {
  const typed = [...types.matchAll(/^export (?:class|function|const) (\w+)/gm)].map(([, name]) => name).sort();
  assert.deepEqual(Object.keys(joined), typed);
  assert.deepEqual(Object.keys(modules), typed);
  for (const name of typed) assert.equal(String(joined[name]), String(modules[name]).replace(/^ +/gm, ''), name);
});

test('every module can be imported by itself', async () => {
  const names = await readdir(new URL('../sdk/', import.meta.url));
  assert.ok(names.length > 10, `${names}`);
  for (const name of names) assert.ok(Object.keys(await import(`../sdk/${name}`)).length > 0, name);
});

// Members of an interface, those that it extends included; events are no members.
function membersOf(name) {
  const [, head, body] = new RegExp(`interface (${name}\\b.*) \\{\n([^]*?)\n\\}`).exec(types);
  const own = [...body.matchAll(/^ {2}(?:readonly )?(\w+)(?:\?|<[^(]*>)?[(:]/gm)].map(([, member]) => member);
  const extended = /(?:^| )extends (\w+)/.exec(head.replace(/^\w+<.*?> /, ''));
  return [...own, ...(extended ? membersOf(extended[1]) : [])];
}

const GROUP = { _configuration() {}, _source: { tracks: [] } };

for (const [name, module, make] of [
  ['Session', 'session', ({ Session }) => new Session({ keep: false })],
  ['Room', 'room', ({ Room }) => new Room({ rooms: new Map() }, 'tea')],
  ['Call', 'call', ({ Call }) => end(new Call({ _calls: new Map() }, '@bob'))],
  ['IncomingCall', 'call', ({ Call }) => end(new Call({ _calls: new Map() }, 'peer-1', 'id', { from: 'peer-1' }))],
  ['Peer', 'peer', ({ Peer }) => end(new Peer(GROUP, { id: 'peer-1', name: 'Ann', polite: true }))],
]) {
  test(`a ${name} has what its type says`, async () => {
    const members = membersOf(name);
    assert.ok(members.length >= 5, `${members}`);
    const made = make(await import(`../sdk/${module}.js`));
    assert.deepEqual(members.filter((member) => !(member in made)), []);
  });
}

// Ends what has begun with an object: no timer outlives it.
function end(made) {
  made.connection ? Object.assign(made.connection, { close() {} }) && made._close() : made._end();
  return made;
}
