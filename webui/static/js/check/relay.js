// Data through the relay. Gathering a relay candidate proves that the server made an allocation;
// only data prove that it relays.
import { familyOf, unbracketed } from './addresses.js';
import { flow, FLOW_MS, UNRELIABLE } from './flow.js';
import { asIceServer, policyOf } from './servers.js';

const DEADLINE_MS = 10_000;
const REFUSED_MS = 3000; // silence takes ICE longer to give up
const GRACE_MS = 1000; // another candidate may be on its way
const ROUNDS = 10;
const CANDIDATES = /^a=(candidate|end-of-candidates).*\r\n/gm;

/**
 * Two peer connections of this page, both through the relay at `server`. Resolves to {ok, rtts,
 * median, flow, errors}: round trips in milliseconds, browser to relay to relay to browser and
 * back, what a flow there came to (null: it broke off), and what the browser said was wrong.
 */
export async function relayLoop(server) {
  const configuration = { iceServers: [asIceServer(server)], iceTransportPolicy: policyOf(server) };
  // Each end's relay has a permission for the other one, and for nothing else of this browser.
  const isOf = (candidate) => candidate.type === 'relay'
    && (!server.family || (familyOf(candidate) || 4) === server.family);
  const pass = (candidate, other) => (isOf(candidate) ? other.addIceCandidate(candidate) : undefined);
  return exchange(configuration, configuration, {
    fromA: pass,
    fromB: pass,
    patience: DEADLINE_MS + 2 * FLOW_MS,
    measure: async ({ thin, thinEnd }) => ({ flow: await flow(thin, thinEnd).catch(() => null) }),
  });
}

/**
 * Whether relay ports can be reached from outside: one end is relayed, the other comes from this
 * browser's own sockets.
 *
 * The relayed end is told only the address (which the relay needs for its permission) and a port
 * where nobody is. If it knew the true port, its own checks would go there from the relay port, and
 * a stateful firewall in front of the box would take the browser's checks for their answers: a
 * closed port would look open.
 *
 * Resolves as relayLoop does, and to {refused: true} if the server granted no permission for our
 * address: the relayed end then has no pair left to check and gives up at once, whereas a blocked
 * port leaves it checking. `mapping` is what the NAT in between made of the bare end: the ports at
 * which STUN servers see it, and the one at which the relay port does, {ports, port}. `from` are
 * the addresses of the bare end, as STUN servers see it.
 */
export async function reachLoop(server, stunURLs, addresses, usedPorts) {
  let port = 40_404;
  while (usedPorts.includes(port)) port++;
  const relayed = { iceServers: [asIceServer(server)], iceTransportPolicy: 'relay' };
  const bare = { iceServers: stunURLs.length ? [{ urls: stunURLs }] : [] };
  const mapped = [];
  const result = await exchange(relayed, bare, {
    fromA: (candidate, b) => b.addIceCandidate(candidate),
    fromB: (candidate) => { if (candidate.type === 'srflx') mapped.push(candidate); },
    measure: async ({ b }) => ({ mapping: { ports: mapped.map((each) => each.port), port: await portOf(b) } }),
    connected: (a) => Promise.all(
      addresses.map((address, index) => a.addIceCandidate(candidateAt(address, port, index + 1))),
    ),
  });
  return { ...result, from: mapped.map(({ address }) => unbracketed(address)) };
}

// The port of the way that a connection has taken, as the far end's answers tell it.
async function portOf(pc) {
  const stats = await pc.getStats();
  const pairs = [...stats.values()].filter(({ type, state }) => type === 'candidate-pair' && state === 'succeeded');
  const pair = pairs.find(({ nominated, selected }) => nominated || selected);
  return stats.get(pair?.localCandidateId)?.port;
}

/**
 * Asks the relay for a peer at an address that it must refuse. Resolves as reachLoop does: to
 * {refused: true} if the relay grants no permission.
 */
export async function refusedLoop(server, address, port) {
  const relayed = { iceServers: [asIceServer(server)], iceTransportPolicy: 'relay' };
  return exchange(relayed, {}, {
    fromA: () => undefined,
    fromB: () => undefined,
    connected: (a) => a.addIceCandidate(candidateAt(address, port, 1)),
    patience: REFUSED_MS,
  });
}

// A candidate that nobody has gathered.
function candidateAt(address, port, number) {
  return {
    candidate: `candidate:${number} 1 udp 1677729535 ${address} ${port} typ srflx raddr 0.0.0.0 rport 0`,
    sdpMid: '0',
    sdpMLineIndex: 0,
  };
}

/**
 * Connects two ends, lets `fromA` and `fromB` pass on their candidates, and echoes over a data
 * channel; then `measure` may add to the result.
 */
async function exchange(configurationA, configurationB, ways) {
  const { fromA, fromB, connected = () => {}, patience = DEADLINE_MS, measure = () => ({}) } = ways;
  const a = new RTCPeerConnection(configurationA);
  const b = new RTCPeerConnection(configurationB);
  const channel = a.createDataChannel('loop', { negotiated: true, id: 0 });
  const echo = b.createDataChannel('loop', { negotiated: true, id: 0 });
  const thinly = { ...UNRELIABLE, negotiated: true, id: 1 };
  const [thin, thinEnd] = [a, b].map((end) => end.createDataChannel('flow', thinly));
  echo.onmessage = ({ data }) => echo.send(data);
  let early = []; // candidates can't be added before the descriptions
  const seen = new Set(); // the ends that have a candidate: the others have no way to go
  const trickle = (end, pass, other) => {
    end.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate) return;
      seen.add(end);
      // An end that has been closed meanwhile takes no more candidates.
      const deliver = () => pass(candidate, other)?.catch(() => {});
      if (early) early.push(deliver);
      else deliver();
    };
  };
  trickle(a, fromA, b);
  trickle(b, fromB, a);
  const started = performance.now();
  const errors = [];
  for (const end of [a, b]) {
    end.onicecandidateerror = ({ errorCode, errorText }) => {
      errors.push({ code: errorCode, text: errorText, ms: Math.round(performance.now() - started) });
    };
  }
  let deadline;
  let grace;
  let refused = false;
  try {
    const late = new Promise((_, reject) => {
      deadline = setTimeout(reject, patience);
      for (const end of [a, b]) {
        end.onicegatheringstatechange = () => {
          if (end.iceGatheringState === 'complete' && !seen.has(end)) grace = setTimeout(reject, GRACE_MS);
        };
      }
      a.oniceconnectionstatechange = () => {
        clearTimeout(grace);
        const givenUp = a.iceConnectionState === 'disconnected' || a.iceConnectionState === 'failed';
        refused = givenUp && channel.readyState === 'connecting' && performance.now() - started < REFUSED_MS;
        if (givenUp) grace = setTimeout(reject, GRACE_MS);
      };
    });
    const measured = (async () => {
      const opened = new Promise((resolve) => { channel.onopen = resolve; });
      await a.setLocalDescription();
      await b.setRemoteDescription(bareDescription(a));
      await b.setLocalDescription();
      await a.setRemoteDescription(bareDescription(b));
      const waiting = early;
      early = null;
      for (const deliver of waiting) deliver();
      await connected(a);
      await opened;
      const rtts = await roundTrips(channel);
      return { rtts, ...await measure({ b, thin, thinEnd }) };
    })();
    const { rtts, ...more } = await Promise.race([measured, late]);
    return { ok: true, refused, rtts, median: median(rtts), errors, ...more };
  } catch {
    return { ok: false, refused, rtts: [], median: null, errors };
  } finally {
    clearTimeout(deadline);
    clearTimeout(grace);
    a.close();
    b.close();
  }
}

// Candidates go by our own way only.
function bareDescription(pc) {
  const { type, sdp } = pc.localDescription;
  return { type, sdp: sdp.replace(CANDIDATES, '') };
}

async function roundTrips(channel) {
  const rtts = [];
  for (let round = 0; round < ROUNDS; round++) {
    const sent = performance.now();
    const back = new Promise((resolve) => { channel.onmessage = resolve; });
    channel.send(String(round));
    await back;
    rtts.push(Math.round((performance.now() - sent) * 10) / 10);
  }
  return rtts;
}

export function median(values) {
  const sorted = [...values].sort((x, y) => x - y);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : Math.round((sorted[middle - 1] + sorted[middle]) * 5) / 10;
}
