// An RTCPeerConnection for Node, of what the package node-datachannel has: with data channels and
// without media. It is as much of one as the SDK needs.
//
//   import { RTCPeerConnection } from 'signalbox/node-datachannel';
//   globalThis.RTCPeerConnection = RTCPeerConnection;
import datachannel from 'node-datachannel';
import { RTCDataChannel } from 'node-datachannel/polyfill';

const SERVER = /^(stun|turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(\w+))?$/;

// URLs can't say a user's name that has a colon.
function nativeServers({ urls, username, credential }) {
  return [urls].flat().map((url) => SERVER.exec(url)).filter(Boolean).map(([, scheme, host, port, transport]) => ({
    hostname: host.replace(/^\[|\]$/g, ''),
    port: Number(port ?? (scheme === 'turns' ? 5349 : 3478)),
    ...(scheme !== 'stun' && {
      username,
      password: credential,
      relayType: scheme === 'turns' ? 'TurnTls' : transport === 'tcp' ? 'TurnTcp' : 'TurnUdp',
    }),
  }));
}

const ufragOf = (description) => /^a=ice-ufrag:(.*)$/m.exec(description?.sdp ?? '')?.[1].trim();

export class RTCPeerConnection {
  onconnectionstatechange = null;
  ondatachannel = null;
  onicecandidate = null;
  onnegotiationneeded = null;
  ontrack = null;

  #native;
  #closed = false;
  #outworn = false; // ICE was to be restarted

  constructor({ iceServers = [], iceTransportPolicy = 'all' } = {}) {
    this.#native = new datachannel.PeerConnection('', {
      iceServers: iceServers.flatMap(nativeServers),
      iceTransportPolicy,
      disableAutoNegotiation: true,
    });
    this.#native.onStateChange(() => this.onconnectionstatechange?.());
    this.#native.onLocalCandidate((line, sdpMid) => {
      this.onicecandidate?.({ candidate: { candidate: line.replace(/^a=/, ''), sdpMid } });
    });
    this.#native.onDataChannel((channel) => this.ondatachannel?.({ channel: new RTCDataChannel(channel) }));
  }

  get connectionState() {
    return this.#closed ? 'closed' : this.#native.state();
  }

  get signalingState() {
    return this.#closed ? 'closed' : this.#native.signalingState();
  }

  get localDescription() {
    return this.#closed ? null : this.#native.localDescription();
  }

  get remoteDescription() {
    return this.#closed ? null : this.#native.remoteDescription();
  }

  createDataChannel(label, { ordered = true, ...options } = {}) {
    const settings = { ...options, unordered: !ordered };
    const channel = new RTCDataChannel(this.#native.createDataChannel(label, settings), { ...settings, ordered });
    queueMicrotask(() => this.onnegotiationneeded?.());
    return channel;
  }

  async setLocalDescription({ type = this.signalingState === 'have-remote-offer' ? 'answer' : 'offer' } = {}) {
    this.#checkIsGood();
    this.#native.setLocalDescription(type);
  }

  async setRemoteDescription({ type, sdp }) {
    const before = ufragOf(this.remoteDescription);
    if (before && before !== ufragOf({ sdp })) this.restartIce();
    this.#checkIsGood();
    this.#native.setRemoteDescription(sdp, type);
  }

  restartIce() {
    this.#outworn = true;
  }

  // The library can't restart ICE. To fail is to say that: the SDK makes another connection then.
  #checkIsGood() {
    if (this.#outworn) throw new Error('ICE can not be restarted');
  }

  async addIceCandidate(init) {
    if (init?.candidate) this.#native.addRemoteCandidate(init.candidate, init.sdpMid ?? '0');
  }

  // New servers are for the next connection.
  setConfiguration() {}

  getTransceivers() {
    return [];
  }

  // A far end that asks for a place for its media finds none in the offer.
  addTransceiver() {}

  getSenders() {
    return [];
  }

  getReceivers() {
    return [];
  }

  async getStats() {
    const pair = this.#closed ? null : this.#native.getSelectedCandidatePair();
    if (!pair) return new Map();
    const candidate = (id, { type, transportType }) => [id, {
      id,
      type: `${id}-candidate`,
      candidateType: type,
      protocol: /udp/i.test(transportType) ? 'udp' : 'tcp',
    }];
    return new Map([
      candidate('local', pair.local),
      candidate('remote', pair.remote),
      ['pair', {
        id: 'pair',
        type: 'candidate-pair',
        localCandidateId: 'local',
        remoteCandidateId: 'remote',
        state: 'succeeded',
        nominated: true,
        currentRoundTripTime: this.#native.rtt() / 1000,
      }],
      ['transport', { id: 'transport', type: 'transport', selectedCandidatePairId: 'pair' }],
    ]);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.close();
  }
}
