// How media travels: directly or through a relay, and by which protocol.

// The path to a peer, as its two ends know it.
export class Path {
  #own = null; // what the far end was told of it
  #far = null;

  get isRelayed() {
    return [this.#own, this.#far].some((path) => path?.kind === 'relay');
  }

  // Takes what the far end says.
  hear(path) {
    this.#far = ['udp', 'tcp', 'tls'].includes(path.protocol) ? path : null;
  }

  // What is to be said to the far end, or null if it knows.
  news({ kind, protocol }) {
    if (kind === this.#own?.kind && protocol === this.#own?.protocol) return null;
    return this.#own = { kind, protocol };
  }

  // Statistics name the transport to a relay only at the end that uses it. Both ends therefore tell
  // each other theirs.
  join({ kind, protocol, rtt, farRelay }) {
    if (kind === 'direct' && this.#far?.kind === 'relay') return { kind: 'relay', protocol: this.#far.protocol, rtt };
    return { kind: farRelay ? 'relay' : kind, protocol, rtt };
  }
}

// The transport between this browser and the relay decides how a call is relayed, and only
// `relayProtocol` tells it: the candidate's own protocol is that of the relayed leg, and its type
// may be prflx.
export function selectedPath(stats) {
  const pair = selectedPair(stats);
  const local = stats.get(pair?.localCandidateId);
  if (!local) return null;
  const remote = stats.get(pair.remoteCandidateId);
  const rtt = pair.currentRoundTripTime === undefined ? null : Math.round(pair.currentRoundTripTime * 1000);
  if (local.relayProtocol || local.candidateType === 'relay') {
    return { kind: 'relay', protocol: local.relayProtocol ?? 'udp', rtt };
  }
  return { kind: 'direct', protocol: local.protocol ?? 'udp', rtt, farRelay: remote?.candidateType === 'relay' };
}

export function selectedPair(stats) {
  const entries = [...stats.values()];
  const transport = entries.find(({ selectedCandidatePairId }) => selectedCandidatePairId);
  // Firefox has no transport statistics that name the pair.
  return stats.get(transport?.selectedCandidatePairId) ?? entries.find(
    ({ selected, nominated, state }) => selected ?? (nominated && state === 'succeeded'));
}
