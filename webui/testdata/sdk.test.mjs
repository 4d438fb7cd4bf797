// The SDK's modules, the file that they are joined to, and the types that describe it are one.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';

import './browser.mjs';

const FILES = ['signalbox', 'signalbox-data', 'signalbox-media', 'signalbox-stats'];
// Without what the joined module has in fewer bytes: comments, spaces, the last ends, names, and
// numbers in the place of names.
const plain = (code) => String(code).replace(/^ *\/\/ .*\n/gm, '').replace(/ +\/\/ .*$/gm, '')
  .replace(/#\w+/g, '#').replace(/\b_[a-zA-Z]\w*/g, '_')
  .replace(/(?<!\w|(?<!\.\.)\.)(\$[a-zA-Z]\d*|[A-Z]\w*)/g, '_').replace(/(?<![\w.])\d[\d_]*/g, '_')
  .replace(/\s+/g, '').replaceAll(';}', '}');
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
  const all = await readdir(new URL('../sdk/', import.meta.url), { recursive: true });
  const names = all.filter((name) => name.endsWith('.js'));
  assert.ok(names.length > 40, `${names}`);
  for (const name of names) assert.ok(Object.keys(await import(`../sdk/${name}`)).length > 0, name);
});

// Members of an interface or a class, those that it extends included; events are no members.
function membersOf(name) {
  const [, body] = new RegExp(`(?:interface|class) ${name}\\b.* \\{\n([^]*?)\n\\}`).exec(types);
  const own = [...body.matchAll(/^ {2}(?:readonly )?(\w+)(?:\?|<[^(]*>)?[(:]/gm)].map(([, member]) => member);
  const extended = new RegExp(`(?:interface|class) ${name}(?:<[^{]*?>)? extends (\\w+)`).exec(types);
  return [...own, ...(extended ? membersOf(extended[1]) : [])];
}

const GROUP = { _configuration() {}, _source: { sent: new Map() }, _options: {} };

for (const [name, module, make] of [
  ['Session', 'session', ({ Session }) => new Session({ keep: false })],
  ['Room', 'room', ({ Room }) => new Room({ rooms: new Map() }, 'tea')],
  ['Call', 'call', ({ Call }) => end(new Call({ calls: new Map() }, '@bob'))],
  ['IncomingCall', 'call', ({ Call }) => end(new Call({ calls: new Map() }, 'peer-1', 'id', { from: 'peer-1' }))],
  ['Data', 'data/data', ({ Data }) => end(new Data({ on: () => () => {}, peers: new Map() }))],
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
  if (made.close) return made.close(), made;
  made.connection ? Object.assign(made.connection, { close() {} }) && made._close() : made._end();
  return made;
}

test('listeners come and go', async () => {
  const { Emitter } = await import('../sdk/emitter.js');
  const emitter = new Emitter();
  const heard = [];
  const listener = ({ n }) => heard.push(n);
  emitter.once('a', listener);
  emitter._emit('a', { n: 1 });
  emitter._emit('a', { n: 2 });
  assert.deepEqual([heard, emitter._heard('a')], [[1], false]);
  emitter.once('a', listener);
  emitter.off('a', listener); // also before it came
  emitter.on('a', listener);
  emitter.on('a', listener); // the same one is called once
  emitter._emit('a', { n: 3 });
  emitter.off('a', listener);
  emitter.off('a', listener);
  emitter.off('b', listener);
  emitter._emit('a', { n: 4 });
  const end = emitter.once('a', listener);
  end();
  emitter._emit('a', { n: 5 });
  emitter.once('a', () => emitter._emit('a', { n: 6 })); // is not called by what it says itself
  emitter._emit('a', { n: 7 });
  for (const type of ['constructor', '__proto__', 'toString']) emitter._emit(type); // a hub may say anything
  assert.deepEqual(heard, [1, 3]);
});

test('the types know every code', async () => {
  const codes = (text, pattern) => [...text.matchAll(pattern)].map(([, code]) => code);
  const union = (name) => codes(new RegExp(`type ${name} =([^;]*);`).exec(types)[1], /'([\w-]+)'/g);
  const errors = await readFile(new URL('../sdk/errors.js', import.meta.url), 'utf8');
  const host = await readFile(new URL('../npm/host.js', import.meta.url), 'utf8'); // of the package
  const own = [...codes(errors, /^ {2}'?([\w-]+)'?: ['"]/gm), ...codes(host, /SignalboxError\('([\w-]+)'/g)];
  assert.deepEqual(union('ClientErrorCode'), own.sort());
  const protocol = await readFile(process.env.PROTOCOL, 'utf8');
  const hub = codes(protocol, /^\| `([\w-]+)` \| 4\d\d\d \|/gm);
  assert.deepEqual(union('ServerErrorCode'), hub.sort());
  const said = /^ \* - (`unreachable`[^]*?) \*\/$/m.exec(types)[1];
  for (const code of own) assert.match(said, new RegExp(`\`${code}\``));
});
