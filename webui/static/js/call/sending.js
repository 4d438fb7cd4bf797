// Keeps what each of the others is sent to what the policy says, by how large they show it and by
// what the uplink loses. See policy.js.
import { encodingOf, Uplink } from './policy.js';

const LOOK_MS = 1000;
const SEEN = 8; // looks, after which a picture that is sent has been seen
const HEIGHT_MAX = 10_000; // pixels

export class Sending {
  #room;
  #media;
  #losses;
  #shown = new Map(); // peer id -> how high the peer shows the camera's picture, in its pixels
  #told = new WeakMap(); // sender -> {track, looks, wanted}: how long it has sent that, and what was set last
  #uplink = new Uplink();
  #steps = Promise.resolve(); // one after the other: parameters hold until the next are asked for
  #isDue = false; // a step waits, which will see what changes until then
  #timer;

  /** `losses()` gives the share of what is sent to each peer that was lost lately: see lossOf. */
  constructor(room, media, losses, lookMs = LOOK_MS) {
    this.#room = room;
    this.#media = media;
    this.#losses = losses;
    this.#timer = setInterval(() => this.#look(), lookMs);
  }

  /** A peer says how high it shows the picture. */
  setShown(id, height) {
    if (!Number.isFinite(height) || height < 0 || height > HEIGHT_MAX) return;
    this.#shown.set(id, height);
    this.update();
  }

  /** Somebody has come or gone, or something else is sent. */
  update() {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#steps = this.#steps.then(() => this.#update());
  }

  end() {
    clearInterval(this.#timer);
  }

  // Also what could not be set before is set now.
  #look() {
    this.#uplink.take(this.#losses());
    for (const { sender } of this.#senders()) this.#tell(sender).looks++;
    this.update();
  }

  // While a connection negotiates, or has no path, its senders are left alone.
  *#senders() {
    for (const { id, connection } of this.#room.peers.values()) {
      if (connection.connectionState !== 'connected' || connection.signalingState !== 'stable') continue;
      for (const sender of connection.getSenders()) if (sender.track && sender.transport) yield { id, sender };
    }
  }

  // What is known of a sender. Another track's picture has not been seen yet.
  #tell(sender) {
    const { track } = sender;
    if (this.#told.get(sender)?.track !== track) this.#told.set(sender, { track, looks: 0, wanted: '' });
    return this.#told.get(sender);
  }

  async #update() {
    this.#isDue = false;
    const { peers } = this.#room;
    for (const id of this.#shown.keys()) if (!peers.has(id)) this.#shown.delete(id);
    for (const { id, sender } of this.#senders()) await this.#set(sender, id).catch(() => {});
  }

  #wantedOf({ track, looks }, id) {
    if (track.kind === 'audio') return { priority: 'high', networkPriority: 'high' };
    const { camera, screen } = this.#media;
    return encodingOf({
      others: this.#room.peers.size,
      height: track.getSettings().height,
      shown: this.#shown.get(id),
      uplink: this.#uplink.bits,
      isScreen: track === screen,
      hasBoth: Boolean(camera && screen),
      isNew: looks < SEEN,
    });
  }

  // A negotiation that has just begun makes parameters stale: the next look sets them.
  async #set(sender, id) {
    const told = this.#tell(sender);
    const wanted = this.#wantedOf(told, id);
    const parameters = sender.getParameters();
    const [encoding] = parameters.encodings ?? [];
    if (!encoding || told.wanted === JSON.stringify(wanted)) return;
    Object.assign(encoding, wanted);
    if (told.track === this.#media.screen) parameters.degradationPreference = 'maintain-resolution';
    await sender.setParameters(parameters);
    told.wanted = JSON.stringify(wanted);
  }
}
