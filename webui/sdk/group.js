// The peers that a session has connections with: the others in a room, or the far end of a call.
import { checkMessage } from './channel.js';
import { Emitter } from './emitter.js';
import { Source } from './media.js';
import { Peer } from './peer.js';
import { Turns } from './turns.js';

// A subclass says by `_stands` whether the group goes on, and sends data to a peer by
// `_post(peer, data)`.
export class Group extends Emitter {
  peers = new Map();
  _source = new Source(); // what is sent to all of them
  _dataChannel; // whether each has a data channel
  _options = {};
  // Connections that a far end has begun. A browser lets a page have some 500, and those that are
  // closed count until it gets around to them. By peer id: nobody gets more by leaving.
  _turns = new Turns(10, 2000, 0);

  constructor(session) {
    super();
    this.session = session;
  }

  _use(options = {}) {
    const { stream, streams = {}, dataChannel = true } = this._options = options;
    this._source.use(stream);
    for (const [name, named] of Object.entries(streams)) this._source.use(named, name);
    this._dataChannel = dataChannel;
  }

  async replaceTrack(kind, track, name = '') {
    const sent = this._source.set(kind, name, track);
    await Promise.all([...this.peers.values()].map((peer) => peer._update(sent)));
  }

  send(data) {
    checkMessage(data);
    return [...this.peers.values()].filter((peer) => peer.send(data)).length;
  }

  _configure() {
    for (const peer of this.peers.values()) {
      try {
        peer.connection.setConfiguration(this._configuration());
      } catch {
        // The application has closed it.
      }
    }
  }

  _configuration() {
    const { relayOnly, configuration } = this._options;
    const own = { bundlePolicy: 'max-bundle', ...this.session._configuration, ...configuration };
    if (relayOnly) own.iceTransportPolicy = 'relay';
    return { ...own, iceServers: [...this.session.iceServers, ...(own.iceServers ?? [])] };
  }

  _add(info) {
    this.#drop(info.id, 'lost');
    if (!this._stands) return null; // a listener has ended it
    const peer = new Peer(this, info);
    this.peers.set(peer.id, peer);
    this._emit('peer', { peer });
    return peer;
  }

  _remove(id, reason) {
    this.#drop(id, reason);
  }

  _end(error) {
    this._turns.clearAll();
    for (const id of [...this.peers.keys()]) this.#drop(id, 'left');
    if (error) this._emit('closed', { error });
  }

  #drop(id, reason) {
    this._turns.clear(id);
    const peer = this.peers.get(id);
    if (!peer) return;
    this.peers.delete(id);
    peer._close();
    this._emit('left', { peer, reason });
  }
}
