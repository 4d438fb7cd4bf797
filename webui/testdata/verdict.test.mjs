// The rules of /check, as tables.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import './reader.mjs';
import { bracketed, hostOf, isLocal, sameAddress, sameFamily } from '../static/js/check/addresses.js';
import { essence, ofBoth } from '../static/js/check/both.js';
import { decisive, explain } from '../static/js/check/codes.js';
import { factsOf } from '../static/js/check/facts.js';
import { sumUp } from '../static/js/check/flow.js';
import { ofNAT } from '../static/js/check/nat.js';
import { readFacts } from '../static/js/check/opened.js';
import { amongOthers } from '../static/js/check/probe.js';
import { median } from '../static/js/check/relay.js';
import { flatten, isAsked, problemOf, titleOf } from '../static/js/check/servers.js';
import { ofOwn, ofReach, ofRelay, ofServer, overall } from '../static/js/check/verdict.js';

const stun = { url: 'stun:b:3478', relays: false, transport: 'udp', host: 'b', port: '3478', origin: 'box' };
const turn = { ...stun, url: 'turn:b:3478?transport=udp', relays: true };
const turns = { ...turn, url: 'turns:b:443?transport=tcp', transport: 'tls', port: '443' };
const own = { ...turn, origin: 'own' };
const relay = { type: 'relay', address: '203.0.113.10', port: 50000 };

const page = (hostname = 'example.org', port = '', protocol = 'https:') => ({ hostname, port, protocol });

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

test('an ICE server list becomes one server for each URL, and for each family of a name', () => {
  const servers = flatten([
    { urls: 'stun:192.0.2.1' },
    { urls: ['turn:[2001:db8::1]:3479?transport=tcp', 'turns:b:443'], username: 'u', credential: 'c' },
  ], 'box');
  assert.deepEqual(servers.map((server) => [titleOf(server), server.relays, server.transport, server.port]), [
    ['stun:192.0.2.1', false, 'udp', '3478'],
    ['turn:[2001:db8::1]:3479?transport=tcp', true, 'tcp', '3479'],
    ['turns:b:443 (IPv4)', true, 'tls', '443'],
    ['turns:b:443 (IPv6)', true, 'tls', '443'],
  ]);
  assert.equal(servers[2].credential, 'c');
});

test('a family that neither the network nor the name has is nobody\'s fault', () => {
  for (const [met, asked] of [[[4], [4]], [[4, 6], [4, 6]], [[6], [6]], [[0], [4]], [[], [4]]]) {
    assert.deepEqual([4, 6].filter((family) => isAsked({ ...turn, family }, met)), asked, `met ${met}`);
    assert.ok(isAsked(turn, met));
  }
});

test('a family over which nothing comes back is told apart from one that is not there', () => {
  const result = (family, more) => ({
    server: { ...turn, family }, outcome: 'timeout', code: null, met: [], answered: [], hosts: [0, 0], ...more,
  });
  const [four, six] = [result(4, { outcome: 'relay', answered: [4] }), result(6)];
  const among = (its, others) => {
    const { outcome, met } = amongOthers(its, [its, ...others]);
    return [outcome, ...met];
  };
  assert.deepEqual(among(six, [four]), ['onefamily', 6]);
  assert.deepEqual(among(four, [six]), ['relay']);
  // Nothing at all is not over one family only, and one that was done with was not waited for.
  assert.deepEqual(among(six, []), ['timeout']);
  assert.deepEqual(among({ ...six, outcome: 'nothing' }, [four]), ['nothing']);
  // Another transport's answer is another way, and so is another port's.
  assert.deepEqual(among(six, [{ ...four, server: { ...four.server, port: 443 } }]), ['timeout']);
  assert.deepEqual(among(six, [{ ...four, server: { ...turns, family: 4 } }]), ['timeout']);
  // Whoever shows addresses has the families of these; a second network card is none.
  assert.deepEqual(among(result(6, { hosts: [4, 4] }), [four]), ['timeout']);
  assert.deepEqual(among(result(6, { hosts: [4, 6] }), [four]), ['onefamily', 6]);
  // The browser says so itself; where the name has no such address, it is not `met`.
  assert.deepEqual(among(result(6, { outcome: 'error', code: 701, met: [6] }), [four]), ['onefamily', 6, 6]);
  assert.deepEqual(among(result(6, { outcome: 'error', code: 701 }), [four]), ['error']);
  // Without a NAT, STUN's answer is no candidate; the relay's tells of it.
  const bare = result(4, { server: { ...stun, family: 4 } });
  assert.deepEqual(among(bare, [four]), ['unmapped']);
  assert.deepEqual(among(bare, [{ ...four, server: { ...four.server, port: 443 } }]), ['timeout']);
  const { verdict, words, fix, params } = ofServer(amongOthers(six, [four]), null, page());
  assert.deepEqual([verdict, words, params], ['bad', 'server.family', { family: 6, other: 4 }]);
  const failed = { server: six.server, verdict: { verdict, words, fix, params } };
  const good = { verdict: 'good' };
  const whole = (...more) => overall({
    signaling: null, judged: [{ server: four.server, verdict: good }, failed, ...more], relay: good, reach: good,
  }).words;
  assert.equal(whole(), 'overall.family');
  assert.equal(whole({ server: turns, verdict: { verdict: 'bad', words: 'code.701.tls' } }), 'overall.partly');
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
  assert.equal(explain(401, turn, page()).words, 'code.401');
  assert.equal(explain(701, turn, page()).words, 'code.701.udp');
  assert.equal(explain(699, turn, page()).words, 'code.other');
});

test('a port by which the page came is not blocked', () => {
  assert.equal(explain(701, turns, page('b')).words, 'code.701.untrusted');
  assert.equal(explain(701, { ...turns, port: '8443' }, page('b', '8443')).words, 'code.701.untrusted');
  assert.equal(explain(701, turns, page('b', '8443')).words, 'code.701.tls');
  assert.equal(explain(701, turns, page('other')).words, 'code.701.tls');
  assert.equal(explain(701, { ...turns, transport: 'tcp' }, page('b')).words, 'code.701.tcp');
});

test('an address and its spellings', () => {
  assert.equal(sameFamily('example.org', '203.0.113.10'), false);
  assert.equal(sameFamily('203.0.113.1', '203.0.113.10'), true);
  assert.equal(sameFamily('[2001:db8::1]', '203.0.113.10'), false);
  assert.equal(sameFamily('[2001:db8::1]', '2001:db8::2'), true);
  assert.equal(sameAddress('[2001:db8::1]', '2001:DB8:0:0::1'), true);
  assert.equal(sameAddress('203.0.113.1', '203.0.113.10'), false);
  for (const [endpoint, host, before] of [
    ['203.0.113.1:9', '203.0.113.1', '203.0.113.1'], ['[2001:db8::1]:9', '2001:db8::1', '[2001:db8::1]'],
    ['example.org:9', 'example.org', 'example.org'],
  ]) {
    assert.equal(hostOf(endpoint), host);
    assert.equal(bracketed(host), before);
    assert.equal(bracketed(before), before);
  }
});

test('the verdict over one server', () => {
  const result = (outcome, more = {}) => ({ server: turn, outcome, code: null, candidates: [relay], ms: 20, ...more });
  const verdictOf = (...args) => { const { verdict, words } = ofServer(...args); return [verdict, words]; };
  const works = { ok: true, median: 3 };
  assert.deepEqual(verdictOf(result('relay'), works, page()), ['good', 'server.relays']);
  for (const [sent, received, want] of [
    [125, 125, ['good', 'server.relays']],
    [100, 90, ['good', 'server.relays']],
    [100, 89, ['warn', 'server.lossy']],
    [0, 0, ['warn', 'server.lossy']],
  ]) {
    const flow = sumUp(sent, received);
    assert.deepEqual(verdictOf(result('relay'), { ...works, flow }, page()), want, JSON.stringify(flow));
  }
  assert.deepEqual(verdictOf(result('relay'), { ok: false, errors: [] }, page()), ['bad', 'server.nodata']);
  // The loop's own error counts, as of a limit that its two connections reach.
  const refused = { ok: false, errors: [{ code: 701 }, { code: 486 }] };
  assert.deepEqual(verdictOf(result('relay'), refused, page()), ['bad', 'code.486']);
  // What Chromium refuses by itself is no fault of network or server.
  assert.deepEqual(verdictOf({ ...result('nothing'), server: { ...turn, port: '1000' } }, null, page()), [
    'bad',
    'server.port',
  ]);
  // Nobody can open another's firewall.
  const advice = (...args) => ofServer(...args).fix;
  const lost = result('error', { code: 701 });
  assert.equal(advice(lost, null, page()), 'code.701.udp.fix');
  assert.equal(advice({ ...lost, server: own }, null, page()), 'own.fix');
  assert.equal(advice({ ...result('error', { code: 401 }), server: own }, null, page()), 'code.401.fix');
  assert.deepEqual(verdictOf(result('timeout'), null, page()), ['bad', 'server.timeout.udp']);
  assert.deepEqual(verdictOf(result('nothing'), null, page()), ['bad', 'server.nothing']);
  assert.deepEqual(verdictOf(result('error', { code: 486 }), null, page()), ['bad', 'code.486']);
  assert.deepEqual(verdictOf({ ...result('unmapped'), server: stun }, null, page()), [
    'good',
    'server.unmapped',
  ]);
  // A private relay address is wrong for a public box and right for one that is visited at a
  // private address.
  const inside = result('relay', { candidates: [{ ...relay, address: '192.168.1.5' }] });
  assert.deepEqual(verdictOf(inside, works, page()), ['warn', 'server.local']);
  assert.deepEqual(verdictOf(inside, works, page('192.168.1.5')), ['good', 'server.relays']);
});

test('the reachability test says bad only if nothing else explains it', () => {
  const facts = {
    udp: true,
    relayAddress: '203.0.113.10',
    host: '203.0.113.10',
    addresses: ['198.51.100.1'],
    relayWorks: true,
    loop: { ok: false },
  };
  const verdictOf = (more) => {
    const { verdict, words } = ofReach({ ...facts, ...more });
    return [verdict, words];
  };
  assert.deepEqual(verdictOf({}), ['bad', 'reach.bad']);
  assert.deepEqual(verdictOf({ host: '198.51.100.9' }), ['bad', 'reach.elsewhere']);
  assert.deepEqual(verdictOf({ host: 'example.org' }), ['bad', 'reach.closed']); // which it could be, can't be told
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
  // The box says so, where the browser doesn't.
  const told = ofReach(facts, [{ code: 403, peer: '198.51.100.1:40404', why: 'not in the room: turn.peers' }]);
  assert.equal(told.words, 'reach.refused');
  // A private network that does work is no riddle.
  assert.deepEqual(verdictOf({ addresses: ['192.168.1.7'], loop: { ok: true, median: 1 } }), ['good', 'reach.good']);
});

test('the overall verdict', () => {
  const unknown = { verdict: 'unknown' };
  const good = { verdict: 'good' };
  const bad = (server, words = 'code.701.udp') => ({ server, verdict: { verdict: 'bad', words, fix: `${words}.fix` } });
  const fine = (server) => ({ server, verdict: good });
  const wholeOf = (judged, more = {}) => overall({ signaling: null, judged, relay: good, reach: good, ...more });
  const of = (...args) => { const { verdict, words } = wholeOf(...args); return [verdict, words]; };
  const also = (...args) => wholeOf(...args).also.map(({ words }) => words);
  const works = [fine(stun), fine(turn), fine(turns)];
  assert.deepEqual(of(works), ['good', 'overall.good']);
  assert.deepEqual(also(works), []);
  // It is as wide as what was tried.
  assert.deepEqual(of(works, { reach: unknown }), ['good', 'overall.works']);
  assert.deepEqual(also(works, { reach: unknown }), ['note.reach']);
  assert.deepEqual(also(works, { reach: { ...unknown, words: 'reach.refused' } }), ['note.refused']);
  assert.deepEqual(of([fine(stun), fine(turn)]), ['good', 'overall.works']);
  assert.deepEqual(also([fine(stun), fine(turn)]), ['note.notls']);
  assert.deepEqual(also([fine(turn), fine({ ...turns, port: '8443' })]), ['note.no443']);

  assert.deepEqual(of(works, { reach: { verdict: 'bad', words: 'reach.bad' } }), ['bad', 'overall.blocked']);
  assert.deepEqual(of(works, { relay: { verdict: 'bad' } }), ['bad', 'overall.nodata']);
  assert.deepEqual(of(works, { signaling: 'unreachable' }), ['bad', 'overall.signaling']);
  assert.deepEqual(of([bad(turn)], { signaling: 'lost' }), ['bad', 'overall.lost']);
  for (const code of ['no-hub', 'origin-refused', 'csp-refused', 'too-many-tabs']) {
    assert.deepEqual(of(works, { signaling: code }), ['bad', `end.${code}`]);
  }
  assert.deepEqual(of(works, { signaling: 'rate-limited' }), ['bad', 'overall.refused']);
  assert.deepEqual(of(works, { signaling: 'unauthorized' }), ['warn', 'overall.unauthorized']);
  assert.deepEqual(of(works, { carrier: 'sse' }), ['warn', 'overall.sse']);
  assert.deepEqual(of([]), ['bad', 'overall.empty']);
  assert.deepEqual(of([works[0]]), ['bad', 'overall.noturn']);
  // What all have in common is said once, above.
  const limited = [bad(turn, 'code.486'), bad(turns, 'code.486')];
  assert.deepEqual(of([fine(stun), ...limited]), ['bad', 'overall.norelay']);
  assert.deepEqual(also([fine(stun), ...limited]), ['code.486', 'code.486.fix']);
  // And what is to be done for several stands behind them all, with their lines.
  const nothing = { verdict: 'bad', fix: 'box.nothing.fix' };
  const closed = (server, words) => ({ server, verdict: { ...nothing, words, params: server } });
  const two = [closed(turn, 'server.timeout.udp'), closed({ ...turn, transport: 'tcp' }, 'server.timeout.tcp')];
  assert.deepEqual(wholeOf(two).also.map(({ words, line }) => words ?? line), [
    'server.timeout.udp', 'server.timeout.tcp', 'box.nothing.fix', 'ufw allow 3478/udp', 'ufw allow 3478/tcp',
  ]);
  assert.deepEqual(of([bad(stun), works[1]]), ['warn', 'overall.partly']);
  const local = { server: turn, verdict: { verdict: 'warn', words: 'server.local', fix: 'server.local.fix' } };
  assert.deepEqual(of([local]), ['warn', 'overall.local']);
  // What to do stands above, not only among the details.
  assert.deepEqual(also([local]), ['server.local', 'server.local.fix']);
  const silent = { verdict: 'bad', words: 'relay.bad', fix: 'relay.bad.fix' };
  assert.deepEqual(also(works, { relay: silent }), ['relay.bad', 'relay.bad.fix']);
  // The visitor's own are judged apart.
  assert.equal(ofOwn([]), null);
  assert.equal(ofOwn([fine(own)]).words, 'own.good');
  assert.equal(ofOwn([fine(own), bad(own)]).words, 'own.bad');
});

test('a NAT is judged by what two destinations see of one socket', () => {
  const seen = (port, foundation = 'f', address = '198.51.100.1') => ({ type: 'srflx', address, port, foundation });
  for (const [facts, want] of [
    [{ unmapped: true }, 'nat.none'],
    [{ reached: { ports: [4000], port: 4000 } }, 'nat.same'],
    [{ reached: { ports: [4000, 4001], port: 4001 } }, 'nat.same'], // of two interfaces
    [{ reached: { ports: [4000], port: 4001 } }, 'nat.symmetric'],
    [{ reached: { ports: [], port: 4001 } }, 'nat.unknown'],
    [{ candidates: [seen(4000)] }, 'nat.same'],
    [{ candidates: [seen(4000), seen(4001)] }, 'nat.symmetric'],
    [{ candidates: [seen(4000), seen(4001, 'g')] }, 'nat.unknown'],
    [{ candidates: [seen(4000), seen(4001, 'f', '2001:db8::1')] }, 'nat.same'],
    [{}, 'nat.unknown'],
  ]) {
    assert.equal(ofNAT({ reached: null, candidates: null, ...facts }).words, want, JSON.stringify(facts));
  }
});

test('of two devices, each is judged, what differs between them, and their call', () => {
  const found = (verdict, udp = verdict) => ({
    verdict, text: `It is ${verdict}.`, servers: [{ ...turn, verdict: udp }, { ...own, verdict: 'bad' }],
  });
  const both = (mine, theirs, rtt) => ofBoth(essence(mine), theirs, rtt);
  for (const [here, there, rtt, want] of [
    ['good', 'warn', 20, 'good second.good'],
    ['bad', 'good', 20, 'warn second.call'],
    ['good', 'good', null, 'bad second.nocall'],
    ['good', 'bad', null, 'bad second.onlyhere'],
    ['bad', 'warn', null, 'bad second.onlythere'],
    ['bad', 'bad', null, 'bad second.neither'],
  ]) {
    const { verdict, words } = both(found(here), found(there), rtt);
    assert.equal(`${verdict} ${words}`, want, `${here} and ${there}`);
  }
  const { also } = both(found('good'), found('warn', 'bad'), 20);
  assert.deepEqual(also.map(({ params }) => params.text ?? params.url), ['It is good.', 'It is warn.', turn.url]);
  // Whose page is in another language is not heard in it.
  const inChinese = { ...found('warn'), reason: 'overall.family', params: { family: 6 }, text: '通话可以建立' };
  assert.match(both(found('good'), inChinese, 20).also[1].params.text(), /^Calls connect, .* over IPv6\.$/);
  for (const [reason, params] of [['toString'], ['overall.'], ['own.title'], [{}], ['end.other', 7]]) {
    const { text } = both(found('good'), { ...inChinese, reason, params }, 20).also[1].params;
    assert.ok(typeof text === 'function' ? text() : text === '通话可以建立', String(reason));
  }
  // What comes from elsewhere may be anything.
  const hostile = { toString: 1, valueOf: 1 };
  const deep = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000));
  assert.equal(both(found('good'), { verdict: 'good', text: deep, servers: [] }, 20).also[1].params.text, '…');
  const odd = { verdict: 'good', reason: 'overall.family', params: { family: hostile, other: [hostile] }, servers: [] };
  assert.match(both(found('good'), odd, 20).also[1].params.text(), /toString/);
  assert.equal(both(found('good'), { verdict: 'good', servers: [null, 1, { url: {} }] }, 20).also.length, 2);
});

test('the median of round trips', () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([1, 2, 3, 10]), 2.5);
  assert.deepEqual(ofRelay(null, null).verdict, 'unknown');
  assert.equal(ofRelay(turn, { ok: false, errors: [{ code: 508 }] }).words, 'relay.refused');
});

test('what was measured of a server, at once and from a report', () => {
  const at = { address: '198.51.100.1', port: 4000 };
  const relayed = { ...relay, relatedAddress: at.address, relatedPort: at.port };
  const loop = { ok: true, rtts: [3, 1, 2], median: 2, flow: { kbit: 500, loss: 0.5 } };
  const values = (facts) => Object.fromEntries(facts.map(({ name, params }) => [name.slice(5), params.value]));
  const all = { mapped: '198.51.100.1:4000', relay: '203.0.113.10:50000', first: 20, rtt: 2, rate: 500, loss: 0.5 };
  assert.deepEqual(values(factsOf({ candidates: [relayed], ms: 20 }, loop)), all);
  const report = { candidates: [relayed], firstCandidateMs: 20, relayRoundTripsMs: loop.rtts, relayFlow: loop.flow };
  assert.deepEqual(values(readFacts(report)), all);
  // Where the browser keeps it to itself, the box may tell.
  const hidden = { candidates: [{ ...relay, relatedAddress: '0.0.0.0' }], ms: 20 };
  assert.equal(values(factsOf(hidden, null)).mapped, undefined);
  assert.equal(values(factsOf(hidden, null, { client: '198.51.100.1:9' })).mapped, '198.51.100.1:9');
  const mapped = { candidates: [{ type: 'srflx', address: '2001:db8::1', port: 9 }], ms: 1 };
  assert.deepEqual(values(factsOf(mapped, null)), { mapped: '[2001:db8::1]:9', first: 1 });
  assert.deepEqual(factsOf({ candidates: [], ms: 0 }, { ok: false }), []);
  // Chromium writes IPv6 addresses of candidates in brackets, and Firefox the relay's twice.
  const six = { type: 'relay', address: '[2001:db8::1]', port: 9, relatedAddress: '[2001:db8::2]' };
  assert.deepEqual(values(factsOf({ candidates: [six] }, null)), { mapped: '[2001:db8::2]', relay: '[2001:db8::1]:9' });
  const twice = { candidates: [{ ...relay, relatedAddress: relay.address, relatedPort: relay.port }] };
  assert.equal(values(factsOf(twice, null, { client: '198.51.100.1:9' })).mapped, '198.51.100.1:9');
});
