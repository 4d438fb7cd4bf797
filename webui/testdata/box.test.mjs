// What /check makes of what the box has seen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import './reader.mjs';
import { concerning, ofBox, reason, withBox } from '../static/js/check/box.js';
import { ofLogin, ofPeer } from '../static/js/check/refusals.js';

const turn = { url: 'turn:b:3478', relays: true, transport: 'udp', host: 'b', port: '3478', origin: 'box' };
const own = { ...turn, origin: 'own', username: 'u' };
const at = { transport: 'udp', port: 3478 };
const challenged = { ...at, kind: 'challenged' };
const allocated = { ...at, kind: 'allocated', relay: '203.0.113.10:50000', client: '198.51.100.7:9' };
const refused = (code, why, user) => ({ ...at, kind: 'refused', code, why, user });
const words = (server, sightings) => {
  const { arrow, lines, fix } = ofBox(server, sightings);
  return [arrow, ...lines.map((line) => line.words), fix].filter(Boolean);
};

test('where the way breaks', () => {
  assert.deepEqual(words(turn, []), ['out', 'box.nothing.udp', 'box.nothing.fix']);
  assert.deepEqual(words(turn, [{ ...challenged, transport: 'tcp' }]), ['out', 'box.nothing.udp', 'box.nothing.fix']);
  assert.deepEqual(words(turn, [challenged]), ['back', 'box.challenged', 'box.challenged.fix']);
  assert.deepEqual(words(turn, [challenged, allocated]), ['box.allocated']);
  // What becomes of somebody else's credential is not told.
  assert.deepEqual(words(own, [challenged]), ['box.arrived']);
  assert.equal(ofBox({ ...turn, relays: false }, []), null);
});

test('a request without a credential may be of either family', () => {
  const six = { ...turn, family: 6 };
  assert.deepEqual(words(six, [challenged]), ['back', 'box.challenged', 'box.challenged.fix']);
  assert.equal(ofBox(six, [challenged, allocated]), null);
  assert.deepEqual(words(six, [allocated]), ['out', 'box.nothing.udp', 'box.nothing.fix']);
});

test('why the box refuses', () => {
  const limit = refused(486, 'limit reached: turn.limits.per_user');
  assert.deepEqual(words(turn, [challenged, limit]), ['box.refused', 'why.limit', 'why.limit.fix']);
  // The data test takes two allocations more.
  const another = ['box.allocated', 'box.refused.another', 'why.limit', 'why.limit.fix'];
  assert.deepEqual(words(turn, [allocated, limit]), another);
  assert.equal(ofBox(turn, [limit]).params.limit, 'turn.limits.per_user');
  assert.deepEqual(words(own, [challenged, refused(401, 'unknown user, or wrong password', 'u')]), [
    'box.refused', 'why.login', 'why.login.fix',
  ]);
  // Somebody has mistyped it before, or types it elsewhere.
  const mistyped = [challenged, refused(401, 'unknown user, or wrong password', 'u')];
  assert.deepEqual(ofBox(own, mistyped, true), { arrow: '', lines: [{ words: 'box.arrived' }] });
  assert.deepEqual(reason('what newer boxes say'), { words: 'why.other', params: { why: 'what newer boxes say' } });
});

test('a row has what is its own', () => {
  const others = [refused(401, 'wrong password', 'v'), { ...allocated, transport: 'tls' }];
  assert.deepEqual(concerning(own, others), []);
  assert.deepEqual(concerning(turn, [refused(401, 'wrong password', 'v'), allocated]), [allocated]);
  // Two addresses of one transport are told apart by the port, where that is known.
  const elsewhere = { ...allocated, port: 443 };
  assert.deepEqual(concerning(turn, [elsewhere, allocated]), [allocated]);
  assert.deepEqual(concerning(turn, [elsewhere]), [elsewhere]);
});

test('what was relayed is summed up', () => {
  const ended = { ...allocated, kind: 'ended', fromClientBytes: 100, toClientBytes: 50 };
  const [, { words: said, params }] = ofBox(turn, [allocated, ended, ended]).lines;
  assert.deepEqual([said, params.sent(), params.received()], ['box.relayed', '200 B', '100 B']);
  const nothing = { ...ended, fromClientBytes: 0, toClientBytes: 0 };
  assert.deepEqual(words(turn, [allocated, nothing]), ['box.allocated']);
});

test('a verdict takes the reason that the box has', () => {
  const bad = { verdict: 'bad', words: 'code.486', fix: 'code.486.fix', params: { code: 486 } };
  const box = ofBox(turn, [refused(486, 'limit reached: turn.limits.per_user')]);
  assert.equal(withBox(bad, box).fix, 'why.limit.fix');
  // That it was refused, and with which code, the browser has said already.
  const faultsOf = (verdict) => withBox(verdict, box).box.map((line) => line.words);
  assert.deepEqual(faultsOf(bad), ['why.limit']);
  assert.deepEqual(faultsOf({ ...bad, words: 'server.nodata' }), ['box.refused', 'why.limit']);
  const out = ofBox(turn, []);
  const fixOf = (words) => withBox({ verdict: 'bad', words, fix: `${words}.fix` }, out).fix;
  assert.equal(fixOf('code.701.udp'), 'box.nothing.fix');
  assert.equal(fixOf('code.701.untrusted'), 'code.701.untrusted.fix');
  assert.equal(fixOf('server.port'), 'server.port.fix');
  assert.equal(withBox({ verdict: 'good', words: 'server.relays' }, box).box, undefined);
  assert.equal(withBox(bad, null), bad);
});

test('what must be refused', () => {
  const user = '4000000000:check-1';
  const login = (result, sightings) => ofLogin({ errors: [], ...result }, user, sightings).words;
  assert.equal(login({ outcome: 'relay' }, []), 'refusal.login.open');
  assert.equal(login({ outcome: 'error', errors: [{ code: 401 }] }, []), 'refusal.login.good');
  // Where the browser doesn't say, the box does.
  assert.equal(login({ outcome: 'nothing' }, [refused(401, 'wrong password', user)]), 'refusal.login.good');
  assert.equal(login({ outcome: 'nothing' }, [refused(401, 'wrong password')]), 'refusal.login.unknown');
  assert.equal(ofPeer({ refused: true }, []).words, 'refusal.peer.good');
  assert.equal(ofPeer({}, [{ ...refused(403, 'never'), peer: '169.254.169.254:9' }]).words, 'refusal.peer.good');
  assert.equal(ofPeer({}, [{ ...refused(403, 'never'), peer: '10.0.0.1:9' }]).words, 'refusal.peer.unknown');
});
