// Keeps what each of the others is sent to what the policy says: by how large they show it, by what
// the uplink loses, and by what the machines have time for. See policy.js.
import { Frozen } from './frozen.js';
import { cameraFor, encodingOf, isOverworked, lossOf, Machine, SPARE_MAX, Uplink } from './policy.js';

const LOOK_MS = 1000;
const MIXED = 2; // looks that may still see samples of before
const UNSENT = new Set(['recvonly', 'inactive', 'stopped']); // directions: declined, or not yet agreed on
const SEEN = 8; // looks, after which a picture that is sent has been seen
const HEIGHT_MAX = 10_000; // pixels

export class Sending {
  #room;
  #media;
  #lines;
  #onspare;
  #onfrozen;
  #isHidden;
  #shown = new Map(); // peer id -> {height, spare}: how high it shows the camera's picture, in its pixels
  #seen = new WeakSet(); // samples
  #told = new WeakMap(); // sender -> {track, looks, wanted}: how long it has sent that, and what was set last
  #set = new Map(); // peer id -> {height, rate} of the highest picture that it is sent: samples tell of that one
  #asked = new WeakMap(); // camera -> what it was asked to give: see cameraFor
  #uplink = new Uplink();
  #machine = new Machine();
  #frozen = new Frozen();
  #alone = MIXED; // looks since a screen was shared beside the camera
  #steps = Promise.resolve(); // one after the other: parameters hold until the next are asked for
  #isDue = false; // a step waits, which will see what changes until then
  #timer;

  /**
   * `lines()` gives the samples of each connection: [{id, samples}]. `onspare()` is called when
   * `spare` has changed; `onfrozen(is)` when the camera gives nothing to send, or does again.
   */
  constructor(room, media, lines, {
    lookMs = LOOK_MS, onspare = () => {}, onfrozen = () => {}, isHidden = () => document.hidden,
  } = {}) {
    this.#room = room;
    this.#media = media;
    this.#lines = lines;
    this.#onspare = onspare;
    this.#onfrozen = onfrozen;
    this.#isHidden = isHidden;
    this.#timer = setInterval(() => this.#look(), lookMs);
  }

  /** How many steps less than usual this machine has time for: the others are to know. */
  get spare() {
    return this.#machine.spare;
  }

  /**
   * A peer says how high it shows the picture, and how many steps less it has time for. The next
   * look sets it: a peer may say so without end.
   */
  setShown(id, height, spare = 0) {
    if (!Number.isFinite(height) || height < 0 || height > HEIGHT_MAX) return;
    this.#shown.set(id, { height, spare: Number.isInteger(spare) ? Math.min(Math.max(0, spare), SPARE_MAX) : 0 });
  }

  /** Somebody has come or gone, or something else is sent. */
  update() {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#steps = this.#steps.then(() => this.#update());
  }

  end() {
    clearInterval(this.#timer);
    if (this.#frozen.is) this.#onfrozen(false);
  }

  // Also what could not be set before is set now.
  #look() {
    const lines = this.#lines();
    this.#uplink.take(lines.map(({ samples }) => lossOf(samples)));
    const { spare } = this;
    const last = lines.map(({ id, samples }) => ({ sample: this.#newOf(samples), set: this.#set.get(id) }));
    this.#lookAtCamera(last);
    if (!last.length || last.some(({ sample }) => sample)) this.#machine.take(isOverworked(last));
    if (spare !== this.spare) this.#onspare();
    for (const { sender } of this.#senders()) this.#tell(sender).looks++;
    this.update();
  }

  // In a tab that nobody looks at, the browser may want no frames. What it says while there is a
  // screen, and a moment later, is of both.
  #lookAtCamera(last) {
    const { camera, screen } = this.#media;
    this.#alone = screen ? 0 : this.#alone + 1;
    const lines = this.#alone > MIXED ? last.map(({ sample, set }) => ({ sample, isWanted: Boolean(set) })) : [];
    const { is } = this.#frozen;
    this.#frozen.take(camera, lines, !this.#isHidden());
    if (is !== this.#frozen.is) this.#onfrozen(this.#frozen.is);
  }

  // The sample of a line that no look has seen: a browser may take longer than a second to answer.
  #newOf(samples) {
    const sample = samples.at(-1);
    if (!sample || this.#seen.has(sample)) return undefined;
    this.#seen.add(sample);
    return sample;
  }

  // While a connection negotiates, or has no path, its senders are left alone.
  *#senders() {
    for (const { id, connection } of this.#room.peers.values()) {
      if (connection.connectionState !== 'connected' || connection.signalingState !== 'stable') continue;
      for (const { sender, currentDirection } of connection.getTransceivers()) {
        if (sender.track && sender.transport) yield { id, sender, isSent: !UNSENT.has(currentDirection) };
      }
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
    const set = new Map();
    for (const each of this.#senders()) await this.#adjust(each, set).catch(() => {});
    this.#set = set;
    await this.#askCamera().catch(() => {}); // it gives what it can
  }

  async #askCamera() {
    const { camera } = this.#media;
    const { height, rate } = cameraFor(this.#room.peers.size, this.spare);
    const before = this.#asked.get(camera) ?? cameraFor(0); // as it was opened
    if (!camera || (before.height === height && before.rate === rate)) return;
    this.#asked.set(camera, { height, rate });
    const size = { width: { ideal: height * 16 / 9 }, height: { ideal: height }, frameRate: { ideal: rate } };
    await camera.applyConstraints({ ...camera.getConstraints(), ...size });
  }

  #wantedOf({ track, looks }, id) {
    if (track.kind === 'audio') return { priority: 'high', networkPriority: 'high' };
    const { camera, screen } = this.#media;
    const { height: shown, spare = 0 } = this.#shown.get(id) ?? {};
    return encodingOf({
      others: this.#room.peers.size,
      height: track.getSettings().height,
      shown,
      uplink: this.#uplink.bits,
      isScreen: track === screen,
      hasBoth: Boolean(camera && screen),
      isNew: looks < SEEN,
      spare: Math.max(spare, this.spare),
    });
  }

  // A negotiation that has just begun makes parameters stale: the next look sets them.
  async #adjust({ id, sender, isSent }, set) {
    const told = this.#tell(sender);
    const wanted = this.#wantedOf(told, id);
    const parameters = sender.getParameters();
    const [encoding] = parameters.encodings ?? [];
    if (!encoding) return;
    if (told.wanted !== JSON.stringify(wanted)) {
      Object.assign(encoding, wanted);
      if (told.track === this.#media.screen) parameters.degradationPreference = 'maintain-resolution';
      await sender.setParameters(parameters);
      told.wanted = JSON.stringify(wanted);
    }
    const picture = isSent && wanted.active && pictureOf(told.track, wanted);
    if (picture && picture.height >= (set.get(id)?.height ?? 0)) set.set(id, picture);
  }
}

// What of a track is sent with such an encoding: no faster than it comes.
function pictureOf(track, { scaleResolutionDownBy, maxFramerate }) {
  const { height = 0, frameRate = maxFramerate } = track.getSettings();
  return { height: height / scaleResolutionDownBy, rate: Math.min(maxFramerate, frameRate) };
}
