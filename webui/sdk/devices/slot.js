// A microphone, a camera or a screen: what is open of it, and what is asked for.
import { MediaError } from './errors.js';

// A visitor may take minutes to answer the browser's question, and want something else by then. So
// each request is a ticket. What arrives for a ticket that is not the slot's any more is stopped.
export class Slot {
  track = null;
  muted = false;
  isFreed = false; // by muting it
  error = null;
  lost = null; // the device that ended by itself, as long as none has taken its place

  #told;
  #companions = []; // the sound of a screen
  #ticket = null;

  // Tells of each `track` that comes or goes, with a reason, of each `error`, and that the device
  // has `ended` by itself.
  constructor(kind, told) {
    this.kind = kind;
    this.#told = told;
  }

  get isOn() {
    return Boolean(this.track) && !this.muted;
  }

  get companion() {
    return this.#companions[0] ?? null;
  }

  // Resolves with the track that is asked for; null if none is.
  get pending() {
    return this.#ticket?.done ?? null;
  }

  begin() {
    this.giveUp();
    const ticket = {};
    ticket.done = new Promise((resolve, reject) => Object.assign(ticket, { resolve, reject }));
    ticket.done.catch(() => {}); // whoever waits for it hears of it
    return this.#ticket = ticket;
  }

  isCurrent(ticket) {
    return ticket === this.#ticket;
  }

  giveUp() {
    this.#ticket?.reject(new MediaError('superseded', this.kind));
    this.#ticket = null;
  }

  // Takes the first of the tracks, which ends the others with it, in the place of what is open.
  take(ticket, [track, ...companions], reason) {
    if (!this.isCurrent(ticket)) return stopAll([track, ...companions]);
    this.#ticket = null;
    stopAll(this.#tracks);
    this.track = track;
    this.#companions = companions;
    this.error = this.lost = null;
    track.enabled = !this.muted;
    const { deviceId, groupId } = track.getSettings(); // in Firefox, a track that has ended knows nothing
    const ended = () => this.#end(track, { deviceId, groupId, gone: false });
    track.addEventListener('ended', ended);
    this.#told.track(this, reason);
    ticket.resolve(track);
    if (track.readyState === 'ended') ended(); // before anybody could hear of it
  }

  // What is open stays so.
  fail(ticket, error) {
    if (!this.isCurrent(ticket)) return;
    this.#ticket = null;
    if (!this.track) this.error = error;
    this.#told.error(error);
    ticket.reject(error);
  }

  // Frees the device. What is still asked for will not be used.
  free(reason) {
    this.giveUp();
    this.lost = null;
    if (this.track) this.#drop(reason);
  }

  // Ends what is open without a word, for something else to take its place.
  pause() {
    stopAll(this.#tracks);
  }

  get isPaused() {
    return this.track?.readyState === 'ended';
  }

  get #tracks() {
    return this.track ? [this.track, ...this.#companions] : [];
  }

  #drop(reason) {
    stopAll(this.#tracks);
    this.track = null;
    this.#companions = [];
    this.#told.track(this, reason);
  }

  #end(track, device) {
    if (track !== this.track) return;
    this.lost = device;
    this.#drop('ended');
    this.#told.ended(this);
  }
}

function stopAll(tracks) {
  for (const track of tracks) track.stop();
}
