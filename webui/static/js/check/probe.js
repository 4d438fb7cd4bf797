// One ICE server URL, tried with a peer connection of its own and a deadline of our own: browsers
// report nothing for up to half a minute when a UDP port is dead, and one slow server must not hide
// the others.
import { family, familyOf, unbracketed } from './addresses.js';
import { decisive } from './codes.js';
import { asIceServer } from './servers.js';

const DEADLINE_MS = 10_000;
const NO_NAME = /host lookup/i; // Chromium's words: the name has no address of that family
const SETTLE_MS = 250; // after the first candidate that counts: others, as of a second interface, come with it

/**
 * Gathers from one server. Resolves to {outcome, code, candidates, errors, met, ms}; the outcome is
 * one of
 *   relay     an allocation was made        mapped    the server told our address
 *   unmapped  it answered, and our address is not translated
 *   error     it refused, or nothing answered, and the browser said so (code)
 *   timeout   nothing was heard within the deadline
 *   onefamily likewise, but over the other family it answers (amongOthers)
 *   nothing   gathering ended without a candidate or an error
 *   invalid   the browser doesn't accept the URL
 * `met` are the families over which the server was asked, as far as the browser tells: one that
 * this network or the server's name doesn't have is not among them. `answered` are those over
 * which it gave a candidate, `hosts` those of the browser's own addresses, as far as it shows them.
 */
export async function probe(server, { oncandidate = () => {} } = {}) {
  const started = performance.now();
  const elapsed = () => Math.round(performance.now() - started);
  const result = {
    server, candidates: [], errors: [], met: [], answered: [], hosts: [], outcome: 'timeout', code: null, ms: 0,
  };
  let pc;
  try {
    // Under the policy 'relay', browsers keep to themselves at which address they are seen.
    pc = new RTCPeerConnection({ iceServers: [asIceServer(server)] });
  } catch {
    return { ...result, outcome: 'invalid' };
  }
  const wanted = server.relays ? 'relay' : 'srflx';
  const isApart = (its) => Boolean(server.family) && (its || 4) !== server.family;
  let deadline;
  try {
    await new Promise((resolve) => {
      deadline = setTimeout(resolve, DEADLINE_MS);
      pc.onicecandidate = ({ candidate }) => {
        if (!candidate?.candidate) return;
        const its = familyOf(candidate);
        if (candidate.type === 'host') {
          result.hosts.push(its);
        } else {
          result.answered.push(its);
          result.met.push(its);
        }
        if (isApart(its) || (server.relays && candidate.type !== 'relay')) return;
        const seen = describeCandidate(candidate, elapsed(), server.url);
        result.candidates.push(seen);
        oncandidate(seen);
        if (seen.type !== wanted) return;
        result.ms ||= seen.ms;
        setTimeout(resolve, SETTLE_MS);
      };
      pc.onicecandidateerror = (event) => {
        if (!NO_NAME.test(event.errorText)) result.met.push(family(event.address ?? ''));
        if (isApart(family(event.address ?? ''))) return;
        result.errors.push({ code: event.errorCode, text: event.errorText, ms: elapsed() });
      };
      pc.onicegatheringstatechange = () => {
        if (pc.iceGatheringState !== 'complete') return;
        result.outcome = 'nothing';
        // Errors are queued like candidates, and some browsers report completion first.
        setTimeout(resolve, 0);
      };
      pc.createDataChannel('probe');
      pc.setLocalDescription().catch(resolve);
    });
  } finally {
    clearTimeout(deadline);
    pc.close();
  }
  return judge(result, wanted);
}

/**
 * What the other rows of a name tell of a silent one. A browser asks over both families at once;
 * where it has an answer over one, and yet gathers on, it waits for one over the other.
 */
export function amongOthers(result, results) {
  const { server, outcome, code, hosts, met } = result;
  const isSilent = outcome === 'timeout' || (code === 701 && met.includes(server.family));
  if (!server.family || !isSilent) return result;
  const answered = results.filter(({ server: { host, port, transport } }) =>
    host === server.host && port === server.port && transport === server.transport).flatMap((each) => each.answered);
  // It has no candidate to tell, where the browser is seen at its own address.
  if (answered.includes(server.family)) return server.relays ? result : { ...result, outcome: 'unmapped', code: null };
  const mayHave = hosts.includes(server.family) || !hosts.some(Boolean);
  if (!answered.some(Boolean) || !mayHave) return result;
  return { ...result, outcome: 'onefamily', met: [...met, server.family] };
}

function judge(result, wanted) {
  const error = decisive(result.errors);
  if (result.candidates.some(({ type }) => type === wanted)) {
    result.outcome = wanted === 'relay' ? 'relay' : 'mapped';
  } else if (error) {
    result.outcome = 'error';
    result.code = error.code;
  } else if (
    result.outcome === 'nothing' &&
    wanted === 'srflx' &&
    result.candidates.some(({ protocol }) => protocol === 'udp')
  ) {
    // A browser leaves a reflexive candidate out when it equals the host's own; silence would have
    // taken it longer.
    result.outcome = 'unmapped';
  }
  return result;
}

function describeCandidate(candidate, ms, url) {
  const { type, protocol, port, priority, foundation, relatedPort } = candidate;
  return {
    ms,
    type,
    protocol,
    address: candidate.address && unbracketed(candidate.address),
    port,
    priority,
    foundation,
    relatedAddress: candidate.relatedAddress && unbracketed(candidate.relatedAddress),
    relatedPort,
    relayProtocol: candidate.relayProtocol ?? null,
    url,
  };
}
