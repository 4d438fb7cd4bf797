// Keeps what each of the others is sent to what the policy says, by how large they show it and by
// what the uplink loses. See policy.js.
import { encodingOf, Uplink } from './policy.js';

const LOOK_MS = 1000;
const HEIGHT_MAX = 10_000; // pixels

export class Sending {
  #room;
  #media;
  #losses;
  #shown = new Map(); // peer id -> how high the peer shows the camera's picture, in its pixels
  #uplink = new Uplink();
  #steps = Promise.resolve(); // one after the other: parameters hold until the next are asked for
  #timer = setInterval(() => this.#uplink.take(this.#worst) && this.update(), LOOK_MS);

  /** `losses()` gives the share of what is sent to each peer that was lost in the last second. */
  constructor(room, media, losses) {
    this.#room = room;
    this.#media = media;
    this.#losses = losses;
  }

  /** A peer says how high it shows the picture. */
  setShown(id, height) {
    if (!Number.isFinite(height) || height < 0 || height > HEIGHT_MAX) return;
    this.#shown.set(id, height);
    this.update();
  }

  /** Somebody has come or gone, or something else is sent. */
  update() {
    this.#steps = this.#steps.then(() => this.#update());
  }

  end() {
    clearInterval(this.#timer);
  }

  get #worst() {
    const known = this.#losses().filter((loss) => loss !== null && loss !== undefined);
    return known.length ? Math.max(...known) : null;
  }

  async #update() {
    const { peers } = this.#room;
    for (const id of this.#shown.keys()) if (!peers.has(id)) this.#shown.delete(id);
    for (const peer of peers.values()) {
      for (const sender of peer.connection.getSenders()) {
        if (sender.track) await this.#set(sender, this.#wantedOf(sender.track, peer.id)).catch(() => {});
      }
    }
  }

  #wantedOf(track, id) {
    if (track.kind === 'audio') return { priority: 'high', networkPriority: 'high' };
    const { camera, screen } = this.#media;
    return encodingOf({
      others: this.#room.peers.size,
      height: track.getSettings().height,
      shown: this.#shown.get(id),
      uplink: this.#uplink.bits,
      isScreen: track === screen,
      hasBoth: Boolean(camera && screen),
    });
  }

  // A negotiation that has just begun makes parameters stale: the next change sets them.
  async #set(sender, wanted) {
    const parameters = sender.getParameters();
    const [encoding] = parameters.encodings ?? [];
    if (!encoding) return;
    const keepsSize = sender.track === this.#media.screen && parameters.degradationPreference !== 'maintain-resolution';
    if (!keepsSize && Object.entries(wanted).every(([key, value]) => encoding[key] === value)) return;
    Object.assign(encoding, wanted);
    if (keepsSize) parameters.degradationPreference = 'maintain-resolution';
    await sender.setParameters(parameters);
  }
}
