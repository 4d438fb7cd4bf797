// The SDK's modules, the file that they are joined to, and the types that describe it are one.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';

import './browser.mjs';

const FILES = ['signalbox', 'signalbox-media', 'signalbox-stats'];
// Without what the joined module has in fewer bytes: comments, spaces, and private names.
const plain = (code) => String(code).replace(/^ *\/\/ .*\n/gm, '').replace(/ +\/\/ .*$/gm, '')
  .replace(/#\w+/g, '#').replace(/\s+/g, '');
const typesOf = (file) => readFile(new URL(`../static/${file}.d.ts`, import.meta.url), 'utf8');
const types = (await Promise.all(FILES.map(typesOf))).join('\n');

for (const file of FILES) {
  test(`the joined ${file}.js exports what its modules and its types do`, async () => {
    const joined = await import(`../static/${file}.js`);
    const modules = await import(`../sdk/${file}.js`);
    const typed = [...(await typesOf(file)).matchAll(/^export (?:class|function|const) (\w+)/gm)]
      .map(([, name]) => name).sort();
    assert.ok(typed.length > 0);
    assert.deepEqual(Object.keys(joined), typed);
    assert.deepEqual(Object.keys(modules), typed);
    for (const name of typed) assert.equal(plain(joined[name]), plain(modules[name]), name);
  });
}

test('every module can be imported by itself', async () => {
  const names = (await readdir(new URL('../sdk/', import.meta.url), { recursive: true }))
    .filter((name) => name.endsWith('.js'));
  assert.ok(names.length > 30, `${names}`);
  for (const name of names) assert.ok(Object.keys(await import(`../sdk/${name}`)).length > 0, name);
});

// Members of an interface or a class, those that it extends included; events are no members.
function membersOf(name) {
  const [, head, body] = new RegExp(`(?:interface|class) (${name}\\b.*) \\{\n([^]*?)\n\\}`).exec(types);
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
  ['Media', 'devices/media', ({ Media }) => new Media({ remember: false })],
  ['Stats', 'stats/stats', ({ Stats }) => new Stats({ state: 'closed', connection: {} })],
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
