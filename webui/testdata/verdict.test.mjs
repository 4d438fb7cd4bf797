// The rules of /check, as tables.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLocal } from '../static/js/check/addresses.js';
import { decisive, explain } from '../static/js/check/codes.js';
import { median } from '../static/js/check/relay.js';
import { flatten, problemOf } from '../static/js/check/servers.js';
import { ofReach, ofRelay, ofServer, overall } from '../static/js/check/verdict.js';

const stun = { url: 'stun:b:3478', relays: false, transport: 'udp', port: '3478', origin: 'box' };
const turn = { url: 'turn:b:3478?transport=udp', relays: true, transport: 'udp', port: '3478', origin: 'box' };
const own = { ...turn, origin: 'own' };
const relay = { type: 'relay', address: '203.0.113.10', port: 50000 };

test('addresses that exist only within a network', () => {
  for (const local of [
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.0.1',
    '127.0.0.1',
    '::1',
    'fd00::1',
    'fe80::1',
    '::ffff:10.0.0.1',
    '[::1]',
    'localhost',
    'a1b2.local',
  ])
    assert.equal(isLocal(local), true, local);
  for (const global of [
    '203.0.113.10',
    '172.32.0.1',
    '100.128.0.1',
    '8.8.8.8',
    '2001:db8::1',
    'example.org',
    'fe.example.org',
  ]) {
    assert.equal(isLocal(global), false, global);
  }
});

test('an ICE server list becomes one server for each URL', () => {
  const servers = flatten([
    { urls: 'stun:b' },
    { urls: ['turn:b:3479?transport=tcp', 'turns:b:443'], username: 'u', credential: 'c' },
  ], 'box');
  assert.deepEqual(servers.map(({ url, relays, transport, port }) => [url, relays, transport, port]), [
    ['stun:b', false, 'udp', '3478'],
    ['turn:b:3479?transport=tcp', true, 'tcp', '3479'],
    ['turns:b:443', true, 'tls', '443'],
  ]);
  assert.equal(servers[2].credential, 'c');
});

test('what is typed in is checked before a browser throws it out', () => {
  const good = { url: 'turn:[2001:db8::1]:3478?transport=udp', username: 'u', credential: 'c' };
  assert.equal(problemOf(good), '');
  assert.equal(problemOf({ url: 'stun:stun.example.org' }), '');
  assert.equal(problemOf({ ...good, credential: '' }), 'own.problem.credential');
  for (const url of ['', 'http://b', 'turn:', 'turn:b:port', 'turn:b?transport=sctp']) {
    assert.equal(problemOf({ ...good, url }), 'own.problem.url', url);
  }
});

test('an answer of the server tells more than an interface without one', () => {
  assert.equal(decisive([{ code: 701 }, { code: 401 }]).code, 401);
  assert.equal(decisive([{ code: 701 }]).code, 701);
  assert.equal(decisive([]), null);
  assert.equal(explain(401, turn).words, 'code.401');
  assert.equal(explain(701, turn).words, 'code.701.udp');
  assert.equal(explain(699, turn).words, 'code.other');
});

test('the verdict over one server', () => {
  const result = (outcome, more = {}) => ({ server: turn, outcome, code: null, candidates: [relay], ms: 20, ...more });
  const verdictOf = (...args) => { const { verdict, words } = ofServer(...args); return [verdict, words]; };
  const works = { ok: true, median: 3 };
  assert.deepEqual(verdictOf(result('relay'), works, 'example.org'), ['good', 'server.relays']);
  assert.deepEqual(verdictOf(result('relay'), { ok: false }, 'example.org'), ['bad', 'server.nodata']);
  assert.deepEqual(verdictOf(result('timeout'), null, 'example.org'), ['bad', 'server.timeout.udp']);
  assert.deepEqual(verdictOf(result('nothing'), null, 'example.org'), ['bad', 'server.nothing']);
  assert.deepEqual(verdictOf(result('error', { code: 486 }), null, 'example.org'), ['bad', 'code.486']);
  assert.deepEqual(verdictOf({ ...result('unmapped'), server: stun }, null, 'example.org'), [
    'good',
    'server.unmapped',
  ]);
  // A private relay address is wrong for a public box and right for one that is visited at a
  // private address.
  const inside = result('relay', { candidates: [{ ...relay, address: '192.168.1.5' }] });
  assert.deepEqual(verdictOf(inside, works, 'example.org'), ['warn', 'server.local']);
  assert.deepEqual(verdictOf(inside, works, '192.168.1.5'), ['good', 'server.relays']);
});

test('the reachability test says bad only if nothing else explains it', () => {
  const facts = {
    udp: true,
    relayAddress: '203.0.113.10',
    addresses: ['198.51.100.1'],
    relayWorks: true,
    loop: { ok: false },
  };
  const verdictOf = (more) => {
    const { verdict, words } = ofReach({ ...facts, ...more });
    return [verdict, words];
  };
  assert.deepEqual(verdictOf({}), ['bad', 'reach.bad']);
  assert.deepEqual(verdictOf({ loop: { ok: true, median: 1 } }), ['good', 'reach.good']);
  assert.deepEqual(verdictOf({ relayWorks: false }), ['unknown', 'reach.norelay']);
  // Nothing was tried: the relay may be fine.
  assert.deepEqual(verdictOf({ relayAddress: undefined, relayWorks: false }), ['unknown', 'relay.none']);
  assert.deepEqual(verdictOf({ udp: false }), ['unknown', 'reach.noudp']);
  assert.deepEqual(verdictOf({ addresses: [] }), ['unknown', 'reach.noaddress']);
  assert.deepEqual(verdictOf({ relayAddress: '10.0.0.5' }), ['unknown', 'reach.localrelay']);
  assert.deepEqual(verdictOf({ addresses: ['192.168.1.7'] }), ['unknown', 'reach.localclient']);
  assert.deepEqual(verdictOf({ addresses: ['203.0.113.10'] }), ['unknown', 'reach.same']);
  assert.deepEqual(verdictOf({ loop: { ok: false, refused: true } }), ['unknown', 'reach.refused']);
  // A private network that does work is no riddle.
  assert.deepEqual(verdictOf({ addresses: ['192.168.1.7'], loop: { ok: true, median: 1 } }), ['good', 'reach.good']);
});

test('the overall verdict', () => {
  const unknown = { verdict: 'unknown' };
  const good = { verdict: 'good' };
  const of = (groups, more = {}) => {
    const { verdict, words } = overall({ signaling: null, groups, relay: good, reach: good, ...more });
    return [verdict, words];
  };
  const works = [{ server: stun, verdict: 'good' }, { server: turn, verdict: 'good' }];
  assert.deepEqual(of([works, []]), ['good', 'overall.good']);
  assert.deepEqual(of([works, []], { reach: unknown }), ['good', 'overall.good']);
  assert.deepEqual(of([works, []], { reach: { verdict: 'bad' } }), ['bad', 'overall.blocked']);
  assert.deepEqual(of([works, []], { relay: { verdict: 'bad' } }), ['bad', 'overall.nodata']);
  assert.deepEqual(of([works, []], { signaling: 'unreachable' }), ['bad', 'overall.signaling']);
  for (const code of ['no-hub', 'origin-refused', 'csp-refused', 'too-many-tabs']) {
    assert.deepEqual(of([works, []], { signaling: code }), ['bad', `end.${code}`]);
  }
  assert.deepEqual(of([works, []], { signaling: 'rate-limited' }), ['bad', 'overall.refused']);
  assert.deepEqual(of([works, []], { signaling: 'unauthorized' }), ['bad', 'overall.unauthorized']);
  assert.deepEqual(of([works, []], { carrier: 'sse' }), ['warn', 'overall.sse']);
  assert.deepEqual(of([[], []]), ['bad', 'overall.empty']);
  assert.deepEqual(of([[works[0]], []]), ['bad', 'overall.noturn']);
  assert.deepEqual(of([[{ server: turn, verdict: 'bad' }], []]), ['bad', 'overall.norelay.box']);
  assert.deepEqual(of([works, [{ server: own, verdict: 'bad' }]]), ['bad', 'overall.norelay.own']);
  assert.deepEqual(of([[{ server: stun, verdict: 'bad' }, works[1]], []]), ['warn', 'overall.partly']);
  assert.deepEqual(of([[{ server: turn, verdict: 'warn' }], []]), ['warn', 'overall.local']);
});

test('the median of round trips', () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([1, 2, 3, 10]), 2.5);
  assert.deepEqual(ofRelay(null, null).verdict, 'unknown');
});
