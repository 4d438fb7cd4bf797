// One RTCPeerConnection of a peer's, with what is sent over it.
import { openChannel } from './channel.js';
import { SignalboxError } from './errors.js';
import { Senders } from './media.js';
import { Negotiation } from './negotiation.js';
import { Watch } from './watch.js';

// Lockdown Mode, Tor and policies take WebRTC away: the name, or what it makes.
export function needWebRTC() {
  try {
    new RTCPeerConnection().close();
  } catch (cause) {
    throw Object.assign(new SignalboxError('no-webrtc'), { cause });
  }
}

export class Connection {
  channel = null;

  #end;
  #ended = new Promise((resolve) => { this.#end = resolve; });

  // The `group` says how to connect. What the `peer` is told of: its `track`s, that its state has
  // `changed`, `stats`, `stalled` media, `open` and `message` of the data channel; for the rest see
  // Negotiation.
  constructor(group, peer) {
    const pc = new RTCPeerConnection(group._configuration());
    this.pc = pc;
    pc.onconnectionstatechange = () => peer.changed();
    pc.ontrack = (event) => peer.track(event);
    this.watch = new Watch(pc, peer);
    this.negotiation = new Negotiation(pc, peer);
    if (group._dataChannel) this.channel = openChannel(pc, peer);
  }

  // Sends what there is; `prepare(sender, sent)` sets each sender up.
  send(source, prepare) {
    this.senders = new Senders(this.pc, source, prepare);
  }

  // What a browser has begun while the connection ends may never be done, as in Firefox a track
  // that is replaced.
  until(done) {
    return Promise.race([done, this.#ended]);
  }

  get isConnected() {
    return this.pc.connectionState === 'connected';
  }

  // Whether another path is of no use: the far end has closed the connection, or the keys have
  // failed, not the path. And a Firefox that has failed before it was connected, and finds a path
  // after all, sends nothing.
  get isDead() {
    return this.channel?.readyState === 'closed'
      || this.pc.connectionState === 'failed' && !(this.watch.isOn && this.pc.iceConnectionState === 'failed');
  }

  // It is connected.
  start() {
    this.negotiation.connected();
    if (this.watch.isOn) return;
    this.watch.start();
    const ice = this.pc.getSenders()[0]?.transport?.iceTransport;
    if (ice) ice.onselectedcandidatepairchange = () => this.senders.refresh();
  }

  close() {
    this.negotiation.stop();
    this.watch.stop();
    if (this.channel) this.channel.onclose = null;
    this.pc.onconnectionstatechange = this.pc.ontrack = null;
    this.pc.onnegotiationneeded = this.pc.onicecandidate = null;
    this.pc.close(); // fires no event, by specification
    this.#end();
  }
}
