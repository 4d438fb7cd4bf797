// From what was measured to words: pure functions, so that the rules can be read and tested by
// themselves. Words are keys of the language files; where a key has a fix, it is the same key with
// ".fix".
import { isLocal } from './addresses.js';
import { explain } from './codes.js';

/**
 * One server: {verdict, words, fix?, params}. `loop` is its relay data test, if it relays and gave
 * a candidate.
 */
export function ofServer(result, loop, pageHost) {
  const { server, outcome, code, candidates } = result;
  switch (outcome) {
    case 'mapped': {
      const { address } = candidates.find(({ type }) => type === 'srflx');
      return { verdict: 'good', words: 'server.mapped', params: { address, ms: result.ms } };
    }
    case 'unmapped':
      return { verdict: 'good', words: 'server.unmapped' };
    case 'relay': {
      const { address, port } = candidates.find(({ type }) => type === 'relay');
      if (loop && !loop.ok) return { verdict: 'bad', words: 'server.nodata', fix: 'server.nodata.fix' };
      if (isLocal(address) && !isLocal(pageHost)) {
        return { verdict: 'warn', words: 'server.local', fix: 'server.local.fix', params: { address } };
      }
      const params = { address: `${address}:${port}`, ms: result.ms, rtt: loop?.median };
      return { verdict: 'good', words: loop ? 'server.relays' : 'server.allocated', params };
    }
    case 'error':
      return { verdict: 'bad', ...explain(code, server), params: { code, port: server.port } };
    case 'invalid':
      return { verdict: 'bad', words: 'server.invalid', fix: 'server.invalid.fix' };
    case 'nothing':
      return { verdict: 'bad', words: 'server.nothing', fix: 'server.nothing.fix' };
    default: {
      const words = `server.timeout.${server.transport}`;
      return { verdict: 'bad', words, fix: `${words}.fix`, params: { port: server.port } };
    }
  }
}

/** The relay data test over the best server that works. */
export function ofRelay(best, loop) {
  if (!best) return { verdict: 'unknown', words: 'relay.none' };
  if (!loop.ok) return { verdict: 'bad', words: 'relay.bad', fix: 'relay.bad.fix' };
  return { verdict: 'good', words: 'relay.good', params: { rtt: loop.median, url: best.url } };
}

/**
 * Whether relay ports can be reached. What can't be told from here is `unknown`, says why, and
 * spoils nothing. `facts`: {udp, relayAddress, addresses (ours, as servers see them), relayWorks,
 * loop}.
 */
export function ofReach({ udp, relayAddress, addresses, relayWorks, loop }) {
  if (!relayAddress) return { verdict: 'unknown', words: 'relay.none' };
  if (!relayWorks) return { verdict: 'unknown', words: 'reach.norelay' };
  if (!udp) return { verdict: 'unknown', words: 'reach.noudp' };
  if (!addresses.length) return { verdict: 'unknown', words: 'reach.noaddress' };
  if (loop?.ok) return { verdict: 'good', words: 'reach.good', params: { rtt: loop.median } };
  if (isLocal(relayAddress)) {
    return { verdict: 'unknown', words: 'reach.localrelay', params: { address: relayAddress } };
  }
  if (addresses.every(isLocal)) {
    return { verdict: 'unknown', words: 'reach.localclient', params: { address: addresses[0] } };
  }
  if (addresses.includes(relayAddress)) {
    return { verdict: 'unknown', words: 'reach.same', params: { address: relayAddress } };
  }
  if (loop?.refused) return { verdict: 'unknown', words: 'reach.refused', params: { address: addresses[0] } };
  return { verdict: 'bad', words: 'reach.bad', fix: 'reach.bad.fix', params: { address: relayAddress } };
}

// What the page of a call says of these is all that there is to say.
const EXPLAINED = ['no-hub', 'origin-refused', 'csp-refused', 'too-many-tabs'];

/**
 * The sentence above all. `signaling` is the code of an error or null, `carrier` what it goes over;
 * `groups` are lists of judged servers ({server, verdict}), one for the box and one for what was
 * typed in; `relay` and `reach` are verdicts as above.
 */
export function overall({ signaling, carrier, groups, relay, reach }) {
  const tested = groups.filter((group) => group.length);
  if (signaling === 'unreachable' || signaling === 'timeout') {
    return { verdict: 'bad', words: 'overall.signaling', fix: 'overall.signaling.fix' };
  }
  if (signaling === 'no-webrtc') {
    return { verdict: 'bad', words: 'overall.nowebrtc', fix: 'overall.nowebrtc.fix' };
  }
  if (EXPLAINED.includes(signaling)) return { verdict: 'bad', words: `end.${signaling}` };
  if (signaling === 'unauthorized') {
    return { verdict: 'bad', words: 'overall.unauthorized', fix: 'overall.unauthorized.fix' };
  }
  if (signaling) {
    return { verdict: 'bad', words: 'overall.refused', fix: 'overall.refused.fix', params: { code: signaling } };
  }
  if (!tested.length) return { verdict: 'bad', words: 'overall.empty', fix: 'overall.empty.fix' };
  for (const group of tested) {
    const relays = group.filter(({ server }) => server.relays);
    const where = group[0].server.origin;
    if (relays.length && relays.every(({ verdict }) => verdict === 'bad')) {
      return { verdict: 'bad', words: `overall.norelay.${where}` };
    }
  }
  if (!tested.flat().some(({ server }) => server.relays)) {
    return { verdict: 'bad', words: 'overall.noturn', fix: 'overall.noturn.fix' };
  }
  if (relay.verdict === 'bad') return { verdict: 'bad', words: 'overall.nodata' };
  if (reach.verdict === 'bad') return { verdict: 'bad', words: 'overall.blocked' };
  const failed = tested.flat().filter(({ verdict }) => verdict === 'bad');
  if (failed.length) {
    return {
      verdict: 'warn',
      words: 'overall.partly',
      params: { urls: failed.map(({ server }) => server.url).join(', ') },
    };
  }
  if (tested.flat().some(({ verdict }) => verdict === 'warn')) return { verdict: 'warn', words: 'overall.local' };
  if (carrier === 'sse') return { verdict: 'warn', words: 'overall.sse', fix: 'overall.sse.fix' };
  return { verdict: 'good', words: 'overall.good' };
}
