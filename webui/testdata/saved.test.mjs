// A report that was saved is input like any other: it may be broken, or made to break the page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import './reader.mjs';
import { MAX_BYTES, readParts, readReport } from '../static/js/check/opened.js';
import { readVerdict, withoutAddresses } from '../static/js/check/saved.js';
import { t } from '../static/js/i18n.js';

const part = { verdict: 'good', reason: 'server.relays', text: 'Yes.', fix: 'Do.', also: ['More.'] };
const whole = {
  ...part,
  at: '2026-01-02T03:04:05.678Z',
  page: 'https://b',
  params: { urls: ['u'] },
  servers: [{
    ...part,
    url: 'turn:b:3478',
    family: 4,
    origin: 'box',
    box: ['It came.'],
    firstCandidateMs: 20,
    relayRoundTripsMs: [1, 2],
    relayFlow: { kbit: 500, loss: 0 },
    candidates: [
      { ms: 1, type: 'relay', protocol: 'udp', relayProtocol: 'udp', address: '2001:db8::1', port: 9, priority: 1,
        relatedAddress: '198.51.100.1', relatedPort: 9 },
      { ms: 1, type: 'srflx', protocol: 'udp', address: '198.51.100.1', port: 9, priority: 1 },
    ],
    errors: [{ code: 701, text: 'No.', ms: 1 }],
  }],
  relayTest: part,
  reachTest: part,
  natTest: part,
  refusals: [{ name: 'login', ...part }],
};

// As the page reads a file; null: it doesn't take it for a report.
function read(text) {
  const report = readReport(text);
  if (!report) return null;
  const said = [report.at, report.page];
  const say = (line) => line.words && said.push(t(line.words, line.params));
  const sayAll = (verdict) => verdict && [verdict, ...verdict.also].forEach(say);
  const { servers, verdict: over, tests, refusals } = readParts(report);
  for (const { verdict, facts, box, candidates, errors } of servers) {
    sayAll(verdict);
    facts.forEach(say);
    box?.lines.forEach(say);
    for (const each of [...candidates, ...errors]) said.push(...Object.values(each));
  }
  for (const verdict of [over, ...Object.values(tests)]) sayAll(verdict);
  for (const { verdict } of refusals) sayAll(verdict);
  JSON.stringify(withoutAddresses(report));
  return { servers, said };
}

function nested(depth) {
  let value = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

const HOSTILE = [
  null, true, 0, -1, 1e308, '', 'x'.repeat(5000), ':'.repeat(5000), [], {}, [null], [[]], [{}],
  { toString: 1, valueOf: 1 }, [{ toString: 1, valueOf: 1 }], { length: 1e9 }, nested(500),
  Array(300).fill(part), Array(300).fill('x'),
];

/** Each value in it, by the way there. */
function* ways(value, way = []) {
  if (way.length) yield way;
  if (!value || typeof value !== 'object') return;
  for (const [key, inner] of Object.entries(value)) yield* ways(inner, [...way, key]);
}

test('whatever a value of a report is, it is shown as what it is, or left out', () => {
  let count = 0;
  for (const way of ways(whole)) {
    for (const value of HOSTILE) {
      const report = structuredClone(whole);
      const at = way.slice(0, -1).reduce((inner, key) => inner[key], report);
      at[way.at(-1)] = value;
      const where = `${way.join('.')} = ${JSON.stringify(value).slice(0, 50)}`;
      let found;
      assert.doesNotThrow(() => { found = read(JSON.stringify(report)); }, where);
      count++;
      if (!found) continue; // the verdict itself, or its list of servers, is none
      assert.ok(found.servers.length <= 100 && found.said.length < 2000, where);
      for (const text of found.said) {
        assert.ok(['string', 'number', 'boolean', 'undefined'].includes(typeof text), where);
        assert.ok(typeof text !== 'string' || text.length < 1100, where);
      }
    }
  }
  assert.ok(count > 1000);
  assert.equal(read(JSON.stringify(whole)).servers.length, 1);
});

test('a file is a report, or nothing', () => {
  const deep = JSON.stringify(whole).replace('"u"', `${'['.repeat(100_000)}1${']'.repeat(100_000)}`);
  for (const text of [
    '', '{', 'null', '[]', '{"verdict":"good"}', '{"verdict":"<b>","servers":[]}', undefined, deep,
    JSON.stringify({ ...whole, more: 'x'.repeat(MAX_BYTES) }),
  ]) {
    assert.equal(readReport(text), null, text?.slice(0, 50));
  }
  const report = readReport('{"verdict":"bad","text":"No.","fix":"Do.","servers":[{}],"page":{}}');
  assert.deepEqual([report.page, report.at], ['{}', '']);
  assert.deepEqual(readVerdict(report).also, [{ words: 'report.text', params: { text: 'Do.' } }]);
  const { servers, refusals } = readParts(report);
  assert.deepEqual([servers, refusals], [[], []]);
});

test('a report without addresses', () => {
  const report = {
    at: '2026-01-02T03:04:05.678Z', userAgent: 'X/1.2.3.4', page: 'https://203.0.113.10:8443',
    servers: [{ url: 'turn:[2001:db8::1]:3478', candidates: [{ address: 'fe80::1' }], text: '10.0.0.1, 12:34' }],
  };
  assert.deepEqual(withoutAddresses(report), {
    ...report, page: 'https://(address):8443',
    servers: [{ url: 'turn:[(address)]:3478', candidates: [{ address: '(address)' }], text: '(address), 12:34' }],
  });
});
