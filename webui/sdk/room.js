// A room that this session is in: its members, and messages to all of them.
import { needWebRTC } from './connection.js';
import { SignalboxError } from './errors.js';
import { Group } from './group.js';
import { OWN } from './signals.js';

const AGAIN_MS = 2000; // until the next attempt to come back

export class Room extends Group {
  capacity = 0;

  #token;
  #joined = false;

  constructor(session, name, options) {
    super(session);
    this._use(options);
    this.name = name;
    this.#token = options?.token;
  }

  async join() {
    const { rooms } = this.session;
    needWebRTC();
    if (rooms.has(this.name) && !this._stands) throw new SignalboxError('joined');
    rooms.set(this.name, this); // before the frame goes out, so that no early signal is lost
    try {
      await this.#enter();
    } catch (error) {
      if (this._stands) this._end(); // the session before may have met peers
      throw error;
    }
  }

  async #enter(again) {
    this.#joined = false;
    while (!this.#joined && this._stands) {
      try {
        // This is answered after `joined` has come.
        await this.session.request({ type: 'join', room: this.name, token: this.#token });
        this.#joined = true;
      } catch (error) {
        // Many may come back at once.
        if (again && error.code === 'rate-limited') await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        else if (error.code !== 'lost') throw error; // else there is a new session: join with that
      }
    }
    if (!this._stands) throw new SignalboxError('closed'); // left meanwhile
  }

  broadcast(data) {
    return this.session.request({ type: 'broadcast', room: this.name, data });
  }

  leave() {
    if (!this._stands) return;
    if (!this.session._send({ type: 'leave', room: this.name })) this.session._unleft.add(this.name);
    this._end();
  }

  // Tells whether it was for the room, not for the application.
  _receive(frame) {
    const { type, peer, reason } = frame;
    if (type === 'peer-left') this._turns.clear(peer.id);
    if (type === 'joined') this.#meetAll(frame);
    else if (type === 'peer-joined') this.#meet(peer);
    else if (type === 'peer-left' && reason === 'lost') this.peers.get(peer.id)?._setPresent(false);
    else if (type === 'peer-left') this._remove(peer.id, reason);
    else if (type === 'signal' && frame.data?.[OWN]) this.peers.get(frame.from)?._signal(frame.data[OWN]);
    else if (type === 'broadcast') this._emit(type, frame);
    else if (type === 'left' && reason) this._end(new SignalboxError(reason)); // we did not ask for it
    else return type === 'left';
    return true;
  }

  #meetAll({ capacity, peers }) {
    this.capacity = capacity;
    this._turns.clearAll();
    for (const peer of this.peers.values()) if (!peers.some(({ id }) => id === peer.id)) peer._setPresent(false);
    for (const info of peers) this.#meet(info);
  }

  // A new session keeps its peer id, and so do the others': connections that live go on.
  async _rejoin() {
    if (!this.#joined) return; // the join that is under way goes on by itself
    try {
      await this.#enter(true);
      this._emit('rejoined');
    } catch (error) {
      if (this._stands) this._end(error);
    }
  }

  // Whether the session is in it, or about to be: any listener may end that.
  get _stands() {
    return this.session.rooms.get(this.name) === this;
  }

  _end(error) {
    this.session.rooms.delete(this.name);
    super._end(error);
  }

  _post(peer, data) {
    this.session._post({ type: 'signal', to: peer.id, room: this.name, data: { [OWN]: data } });
  }

  #meet(info) {
    const peer = this.peers.get(info.id);
    if (peer) peer._setPresent(true, info);
    else if (this._turns.take(info.id, () => this.#meet(info))) this._add(info);
  }
}
