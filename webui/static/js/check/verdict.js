// From what was measured to words: pure functions, so that the rules can be read and tested by
// themselves. Words are keys of the language files; where a key has a fix, it is the same key with
// ".fix". A verdict never says more than what was tried.
import { isLocal, sameAddress, sameFamily, unbracketed } from './addresses.js';
import { refusalOf } from './box.js';
import { decisive, explain } from './codes.js';
import { titleOf } from './servers.js';

/** Whether what has this verdict can be used. */
export const works = (verdict) => verdict === 'good' || verdict === 'warn';

const LOSSY = 10; // percent: more than a voice gets over

// Advice for who runs the box: where somebody else's server is at fault, it leads nowhere.
const FOR_THE_BOX = new Set([
  'code.701.udp.fix', 'code.701.tcp.fix', 'code.701.tls.fix', 'code.486.fix', 'code.508.fix', 'server.local.fix',
  'server.nodata.fix', 'server.timeout.udp.fix', 'server.timeout.tcp.fix', 'server.timeout.tls.fix',
]);

/** The line to copy that carries out a fix, or undefined. */
export function lineOf({ fix, params = {}, server }) {
  const open = (ports) => `ufw allow ${ports}`;
  switch (fix) {
    case 'code.701.udp.fix':
    case 'server.timeout.udp.fix':
      return open(`${params.port}/udp`);
    case 'code.701.tcp.fix':
    case 'server.timeout.tcp.fix':
      return open(`${params.port}/tcp`);
    case 'box.nothing.fix':
      return open(`${params.port}/${server.transport === 'udp' ? 'udp' : 'tcp'}`);
    case 'reach.bad.fix':
    case 'reach.closed.fix':
      return open('49152:65535/udp');
    case 'reach.elsewhere.fix':
      return `public_ip = "${unbracketed(params.host)}"`;
  }
}

/**
 * One server: {verdict, words, fix?, params}. `loop` is its relay data test, if it relays and gave
 * a candidate; `page` is the page's location.
 */
export function ofServer(result, loop, page) {
  const verdict = judge(result, loop, page);
  if (result.server.origin === 'own' && FOR_THE_BOX.has(verdict.fix)) return { ...verdict, fix: 'own.fix' };
  return verdict;
}

function judge(result, loop, page) {
  const { server, outcome, code, candidates } = result;
  switch (outcome) {
    case 'mapped':
      return { verdict: 'good', words: 'server.mapped' };
    case 'unmapped':
      return { verdict: 'good', words: 'server.unmapped' };
    case 'relay': {
      const { address } = candidates.find(({ type }) => type === 'relay');
      if (loop && !loop.ok) return ofSilence(server, loop, page);
      if (isLocal(address) && !isLocal(page.hostname)) {
        return { verdict: 'warn', words: 'server.local', fix: 'server.local.fix', params: { address } };
      }
      if (loop?.flow?.loss > LOSSY) return { verdict: 'warn', words: 'server.lossy', params: loop.flow };
      return { verdict: 'good', words: loop ? 'server.relays' : 'server.allocated' };
    }
    case 'error':
      return { verdict: 'bad', ...explain(code, server, page), params: { code, port: server.port } };
    case 'onefamily': {
      const params = { family: server.family, other: 10 - server.family };
      return { verdict: 'bad', words: 'server.family', fix: 'server.family.fix', params };
    }
    case 'invalid':
      return { verdict: 'bad', words: 'server.invalid', fix: 'server.invalid.fix' };
    case 'nothing':
      if (refusesPort(server)) {
        return { verdict: 'bad', words: 'server.port', fix: 'server.port.fix', params: { port: server.port } };
      }
      return { verdict: 'bad', words: 'server.nothing', fix: 'server.nothing.fix' };
    default: {
      const words = `server.timeout.${server.transport}`;
      return { verdict: 'bad', words, fix: `${words}.fix`, params: { port: server.port } };
    }
  }
}

// Gathering gave an address, and the two connections of the data test came to nothing.
function ofSilence(server, loop, page) {
  const error = decisive(loop.errors);
  if (error && error.code !== 701) {
    return { verdict: 'bad', ...explain(error.code, server, page), params: { code: error.code, port: server.port } };
  }
  return { verdict: 'bad', words: 'server.nodata', fix: 'server.nodata.fix' };
}

// Chromium's rule for TURN, which it follows without a word.
function refusesPort({ relays, port }) {
  return relays && Number(port) < 1024 && !['53', '80', '443'].includes(port);
}

/** The relay data test over the best server that works. */
export function ofRelay(best, loop) {
  if (!best) return { verdict: 'unknown', words: 'relay.none' };
  if (!loop.ok) {
    const error = decisive(loop.errors);
    if (error && error.code !== 701) {
      return { verdict: 'bad', words: 'relay.refused', params: { code: error.code } };
    }
    return { verdict: 'bad', words: 'relay.bad', fix: 'relay.bad.fix' };
  }
  return { verdict: 'good', words: 'relay.good', params: { rtt: loop.median, url: best.url } };
}

/**
 * Whether relay ports can be reached. What can't be told from here is `unknown`, says why, and
 * spoils nothing. `facts`: {udp, relayAddress, host (of the server's URL), addresses (ours, as
 * servers see them), relayWorks, loop}; `sightings` are the box's, or null.
 */
export function ofReach({ udp, relayAddress, host, addresses, relayWorks, loop }, sightings) {
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
  if (loop?.refused || refusalOf(addresses, sightings)) {
    return { verdict: 'unknown', words: 'reach.refused', params: { address: addresses[0] } };
  }
  const params = { address: relayAddress, host };
  const words = reachedBy(host, relayAddress);
  return { verdict: 'bad', words, fix: `${words}.fix`, params };
}

// Whether ports are closed or the address is a wrong one: by what this browser dialed.
function reachedBy(host, relayAddress) {
  if (!sameFamily(host, relayAddress)) return 'reach.closed'; // a name, say
  return sameAddress(host, relayAddress) ? 'reach.bad' : 'reach.elsewhere';
}

/**
 * What has come to nothing, each cause once: [{words, params}], what the box says of it, and,
 * behind all that have it in common, what to do about it, with each {line} to copy.
 */
export function causes(judged) {
  const seen = new Set();
  const groups = new Map(); // by fix
  const told = [...judged].sort((a, b) => Boolean(b.verdict.box) - Boolean(a.verdict.box)); // these say more
  for (const { server, verdict: { words, fix, params, box = [] } } of told) {
    if (seen.has(words)) continue;
    seen.add(words);
    if (!groups.has(fix)) groups.set(fix, { lines: [], fix: fix ? [{ words: fix, params }] : [] });
    const group = groups.get(fix);
    group.lines.push({ words, params }, ...box);
    const line = lineOf({ fix, params, server });
    if (line) group.fix.push({ line });
  }
  return [...groups.values()].flatMap(({ lines, fix }) => [...lines, ...fix]);
}

const isBad = ({ verdict }) => verdict.verdict === 'bad';
const urlsOf = (judged) => judged.map(({ server }) => titleOf(server));

/** The visitor's own servers, which say nothing about the box; null: there are none. */
export function ofOwn(judged) {
  if (!judged.length) return null;
  const failed = judged.filter(isBad);
  if (!failed.length) return { verdict: 'good', words: 'own.good' };
  return { verdict: 'bad', words: 'own.bad', params: { urls: urlsOf(failed) } };
}

// What the page of a call says of these is all that there is to say.
const EXPLAINED = ['no-hub', 'origin-refused', 'csp-refused', 'too-many-tabs'];

/**
 * The sentence above all, and `also` what belongs to it: [{words, params}]. `signaling` is the code
 * of an error or null, `carrier` what it goes over; `judged` are the box's servers, each with its
 * verdict, and so `refusals`; `relay` and `reach` are verdicts as above.
 */
export function overall({ signaling, carrier, judged, relay, reach, refusals = [] }) {
  if (signaling) return ofSignaling(signaling);
  if (!judged.length) return { verdict: 'bad', words: 'overall.empty', fix: 'overall.empty.fix' };
  const relays = judged.filter(({ server }) => server.relays);
  if (!relays.length) return { verdict: 'bad', words: 'overall.noturn', fix: 'overall.noturn.fix' };
  if (relays.every(isBad)) return { verdict: 'bad', words: 'overall.norelay', also: causes(relays) };
  if (relay.verdict === 'bad') {
    return { verdict: 'bad', words: 'overall.nodata', also: causes([{ verdict: relay }]) };
  }
  if (reach.verdict === 'bad') {
    const words = reach.words === 'reach.elsewhere' ? 'overall.elsewhere' : 'overall.blocked';
    return { verdict: 'bad', words, also: causes([{ verdict: reach }]) };
  }
  const open = refusals.filter(isBad);
  if (open.length) return { verdict: 'bad', words: 'overall.open', also: causes(open) };
  const failed = judged.filter(isBad);
  const [{ verdict: { words, params } = {} } = {}] = failed;
  if (words === 'server.family' && failed.every(({ verdict }) => verdict.words === words)) {
    return { verdict: 'warn', words: 'overall.family', fix: 'overall.family.fix', params };
  }
  if (failed.length) {
    const which = { words: 'note.fails', params: { urls: urlsOf(failed) } };
    return { verdict: 'warn', words: 'overall.partly', also: [which, ...causes(failed)] };
  }
  const limited = judged.filter(({ verdict }) => verdict.verdict === 'warn');
  if (limited.length) {
    const isLossy = limited.every(({ verdict }) => verdict.words === 'server.lossy');
    const words = isLossy ? 'overall.lossy' : 'overall.local';
    return { verdict: 'warn', words, params: { urls: urlsOf(limited) }, also: causes(limited) };
  }
  if (carrier === 'sse') return { verdict: 'warn', words: 'overall.sse', fix: 'overall.sse.fix' };
  const also = untried(relays.map(({ server }) => server), reach);
  return { verdict: 'good', words: also.length ? 'overall.works' : 'overall.good', also };
}

function ofSignaling(code) {
  if (code === 'lost') return { verdict: 'bad', words: 'overall.lost', fix: 'overall.lost.fix' };
  if (code === 'unreachable' || code === 'timeout') {
    return { verdict: 'bad', words: 'overall.signaling', fix: 'overall.signaling.fix' };
  }
  if (code === 'no-webrtc') return { verdict: 'bad', words: 'overall.nowebrtc', fix: 'overall.nowebrtc.fix' };
  if (EXPLAINED.includes(code)) return { verdict: 'bad', words: `end.${code}` };
  if (code === 'unauthorized') { // which is as it should be; there is only nothing to tell yet
    return { verdict: 'warn', words: 'overall.unauthorized', fix: 'overall.unauthorized.fix' };
  }
  return { verdict: 'bad', words: 'overall.refused', fix: 'overall.refused.fix', params: { code } };
}

// What others may meet although all that was tried here works.
function untried(relays, reach) {
  const also = [];
  const tls = relays.filter(({ transport }) => transport === 'tls');
  if (!tls.length) also.push({ words: 'note.notls' });
  else if (!tls.some(({ port }) => port === '443')) also.push({ words: 'note.no443', params: { port: tls[0].port } });
  if (reach.words === 'reach.refused') also.push({ words: 'note.refused', params: reach.params });
  else if (reach.verdict !== 'good') also.push({ words: 'note.reach' });
  return also;
}
