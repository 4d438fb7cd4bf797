// How the NAT of this network maps (RFC 4787 §4.1), as far as the page can tell: by the ports at
// which two destinations see the same socket.
import { familyOf } from './addresses.js';

const DEADLINE_MS = 3000;

/** How several STUN servers see one socket: their candidates. */
export async function seenBy(urls) {
  const pc = new RTCPeerConnection({ iceServers: [{ urls }] });
  const candidates = [];
  let deadline;
  try {
    await new Promise((resolve) => {
      deadline = setTimeout(resolve, DEADLINE_MS);
      pc.onicecandidate = ({ candidate }) => {
        if (!candidate) resolve();
        else if (candidate.type === 'srflx') candidates.push(candidate);
      };
      pc.createDataChannel('nat');
      pc.setLocalDescription().catch(resolve);
    });
  } finally {
    clearTimeout(deadline);
    pc.close();
  }
  return candidates;
}

/**
 * A verdict. Facts: `unmapped`: a server sees the browser at its own address; `reached`: the ports
 * at which STUN servers see a socket, and the one at which a relay port sees it, {ports, port}, or
 * null; `candidates`: how more than one STUN server see a socket, or null.
 */
export function ofNAT({ unmapped, reached, candidates }) {
  if (unmapped) return { verdict: 'good', words: 'nat.none' };
  if (reached?.ports.length) {
    return reached.ports.includes(reached.port) ? { verdict: 'good', words: 'nat.same' } : SYMMETRIC;
  }
  const seen = candidates?.filter((candidate) => familyOf(candidate) === 4) ?? [];
  // A browser tells a mapping once, by whichever server; and sockets of one interface have the same
  // foundation (RFC 8445 §5.1.1.3).
  if (seen.length === 1) return { verdict: 'good', words: 'nat.same' };
  if (new Set(seen.map(({ foundation }) => foundation)).size < seen.length) return SYMMETRIC;
  return { verdict: 'unknown', words: 'nat.unknown' };
}

const SYMMETRIC = { verdict: 'warn', words: 'nat.symmetric' };
