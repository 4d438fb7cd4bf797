// The devices of this browser: what is open of them, muted, switched, shared, and unplugged.
import { Emitter } from '../emitter.js';
import { openAll, switchTo } from './ask.js';
import { MediaError, mediaError } from './errors.js';
import { DeviceList } from './list.js';
import { Memory } from './memory.js';
import { Meter } from './meter.js';
import { Slot } from './slot.js';
import { Speaker } from './speaker.js';

const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const SCREEN = { video: { frameRate: { ideal: 15, max: 30 } } };
const BOTH = ['microphone', 'camera'];

export class Media extends Emitter {
  devices = new DeviceList();

  #slots = {};
  #constraints;
  #frees;
  #memory;
  #speaker = new Speaker();
  #meter = null;
  #isWatching = false;
  #changed = () => this.#follow();

  constructor({
    microphone = MICROPHONE, camera = CAMERA, screen = SCREEN, frees = {}, remember = 'signalbox.devices',
  } = {}) {
    super();
    this.#constraints = { microphone, camera, screen };
    this.#frees = { microphone: false, camera: true, ...frees };
    this.#memory = new Memory(remember);
    for (const kind of [...BOTH, 'screen']) {
      this.#slots[kind] = new Slot(kind, {
        track: ({ track }, reason) => this._emit('track', { kind, track, reason }),
        error: (error) => this._emit('error', { kind, error }),
        ended: (slot) => this.#ended(slot),
      });
    }
  }

  get microphone() { return this.#slots.microphone.track; }
  get camera() { return this.#slots.camera.track; }
  get screen() { return this.#slots.screen.track; }
  get screenSound() { return this.#slots.screen.companion; }

  get canShare() {
    return Boolean(navigator.mediaDevices?.getDisplayMedia);
  }

  // What is heard of the microphone, from 0 to 1.
  get level() {
    const { microphone } = this;
    if (this.#meter?.track !== (microphone ?? undefined)) {
      this.#meter?.stop();
      this.#meter = microphone && new Meter(microphone);
    }
    return this.#meter?.level ?? 0;
  }

  isOn(kind) { return this.#slots[kind].isOn; }
  isPending(kind) { return Boolean(this.#slots[kind].pending); }
  isMuted(kind) { return this.#slots[kind].muted; }
  errorOf(kind) { return this.#slots[kind].error; }

  deviceOf(kind) {
    return kind === 'speaker' ? this.#speaker.id : this.#slots[kind].track?.getSettings().deviceId ?? null;
  }

  async open(kinds = BOTH) {
    const slots = kinds.map((kind) => this.#slots[kind]).filter(({ isFreed }) => !isFreed);
    this.#ask(slots.filter(({ track, pending }) => !track && !pending), 'opened');
    await Promise.allSettled(slots.map(({ pending }) => pending));
  }

  mute(kind, { free = this.#frees[kind] } = {}) {
    const slot = this.#slots[kind];
    const news = !slot.muted;
    slot.muted = true;
    slot.isFreed ||= free;
    if (free) slot.free('muted');
    else if (slot.track) slot.track.enabled = false;
    if (news) this._emit('muted', { kind, muted: true });
  }

  async unmute(kind) {
    const slot = this.#slots[kind];
    const news = slot.muted;
    slot.muted = slot.isFreed = false;
    if (slot.track) slot.track.enabled = true;
    else if (!slot.pending) this.#ask([slot], 'opened');
    if (news) this._emit('muted', { kind, muted: false });
    return slot.track ?? slot.pending ?? Promise.reject(slot.error);
  }

  // What isn't open is opened so next time.
  async use(kind, id) {
    if (kind === 'speaker') await this.#speaker.use(id);
    else if (this.#slots[kind].track || this.isPending(kind)) await this.#switch(this.#slots[kind], id);
    this.#memory.set(kind, id);
  }

  async share(options = this.#constraints.screen) {
    const slot = this.#slots.screen;
    const ticket = slot.begin();
    this.#askForScreen(slot, ticket, options);
    return ticket.done;
  }

  unshare() {
    this.#slots.screen.free('closed');
  }

  play(element) {
    return this.#speaker.add(element);
  }

  close() {
    for (const slot of Object.values(this.#slots)) slot.free('closed');
    this.#meter?.stop();
    this.#meter = null;
    this.#watch(false);
  }

  #ask(slots, reason) {
    if (!slots.length) return;
    const requests = slots.map((slot) => ({ slot, ticket: slot.begin(), constraints: this.#preferred(slot.kind) }));
    if (!navigator.mediaDevices) {
      const code = isSecureContext ? 'unsupported' : 'insecure';
      for (const { slot, ticket } of requests) slot.fail(ticket, new MediaError(code, slot.kind));
      return;
    }
    this.#watch(true);
    openAll(requests, reason).then(() => this.#list()); // devices have names once they may be used
  }

  #preferred(kind) {
    const id = this.#memory.get(kind);
    const constraints = this.#constraints[kind];
    return id ? { ...constraints, deviceId: { exact: id } } : constraints;
  }

  async #switch(slot, id) {
    const ticket = slot.begin();
    const constraints = { ...this.#constraints[slot.kind], deviceId: { exact: id } };
    switchTo({ slot, ticket, constraints }).then(() => {
      if (slot.isPaused && !slot.pending) this.#ask([slot], 'fallback');
      this.#replace(slot); // it may have been unplugged meanwhile
    });
    await ticket.done;
  }

  async #askForScreen(slot, ticket, options) {
    try {
      if (!this.canShare) throw new DOMException('', 'NotSupportedError');
      const stream = await navigator.mediaDevices.getDisplayMedia(options);
      const [picture] = stream.getVideoTracks();
      picture.contentHint ||= 'detail';
      slot.take(ticket, [picture, ...stream.getAudioTracks()], 'opened');
    } catch (cause) {
      slot.fail(ticket, mediaError('screen', cause));
    }
  }

  #watch(on) {
    if (on === this.#isWatching) return;
    this.#isWatching = on;
    navigator.mediaDevices[on ? 'addEventListener' : 'removeEventListener']('devicechange', this.#changed);
  }

  async #list() {
    await this.devices.refresh().catch(() => {}); // then what was known of them holds
    if (!this.#isWatching) return;
    await this.#followSpeaker();
    this._emit('devices', { devices: this.devices });
  }

  async #follow() {
    await this.#list();
    for (const kind of BOTH) this.#replace(this.#slots[kind]);
  }

  #ended(slot) {
    if (slot.kind === 'screen') return;
    this.#say(slot, 'ended');
    this.#follow();
  }

  // The list tells whether a device was unplugged, or taken from the page by the visitor. Only in
  // the first case another one takes its place, or the same one when it is back.
  #replace(slot) {
    const { kind, lost } = slot;
    if (!lost) return;
    if (!lost.gone && !this.devices.has(kind, lost)) {
      lost.gone = true;
      this.#say(slot, 'unplugged');
    }
    if (lost.gone && this.devices[kind].length && !slot.muted && !slot.pending) this.#ask([slot], 'fallback');
  }

  #say(slot, code) {
    slot.error = new MediaError(code, slot.kind);
    this._emit('error', { kind: slot.kind, error: slot.error });
  }

  async #followSpeaker() {
    const { speaker } = this.devices;
    if (!speaker.length) return; // not every browser lists them
    const wanted = this.#memory.get('speaker');
    const next = speaker.some(({ deviceId }) => deviceId === wanted) ? wanted : '';
    if (next !== this.#speaker.id) await this.#speaker.use(next).catch(() => {});
  }
}
