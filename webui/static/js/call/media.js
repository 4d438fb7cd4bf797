// Camera, microphone and screen of this browser, and why one of them is missing.

const REASONS = {
  NotAllowedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'busy',
  AbortError: 'busy',
};

const CONSTRAINTS = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
};

export class LocalMedia {
  audio = null;
  camera = null;
  screen = null;
  /** Kind -> why there is none: insecure, denied, missing, busy or failed. */
  reasons = {};
  /**
   * Called with the kind when a track came or went by itself (unplugged, sharing ended by the
   * browser's own button).
   */
  onchange = () => {};

  /** What is sent of video: the screen takes the camera's place. */
  get video() {
    return this.screen ?? this.camera;
  }

  /** Asks for both devices at once, so that the visitor is asked once; what can be had is taken. */
  async open() {
    if (!navigator.mediaDevices) {
      this.reasons = { audio: 'insecure', video: 'insecure' };
      return;
    }
    try {
      this.#take(await navigator.mediaDevices.getUserMedia(CONSTRAINTS));
    } catch (error) {
      await this.#openEach(error);
    }
  }

  // One missing or blocked device fails the request for both. A refusal just given is not asked for
  // again.
  async #openEach(error) {
    const reason = REASONS[error.name] ?? 'failed';
    const blocked = { audio: await isBlocked('microphone'), video: await isBlocked('camera') };
    for (const kind of ['audio', 'video']) {
      const asked = reason === 'denied' && !blocked.audio && !blocked.video;
      if (asked || blocked[kind]) this.reasons[kind] = 'denied';
      else await this.#openOne(kind);
    }
  }

  async #openOne(kind) {
    delete this.reasons[kind];
    try {
      this.#take(await navigator.mediaDevices.getUserMedia({ [kind]: CONSTRAINTS[kind] }));
    } catch (error) {
      this.reasons[kind] = REASONS[error.name] ?? 'failed';
    }
  }

  #take(stream) {
    for (const track of stream.getTracks()) {
      if (track.kind === 'audio') this.audio = track;
      else this.camera = track;
      track.onended = () => {
        this.#drop(track);
        this.reasons[track.kind] = 'missing';
        this.onchange(track.kind);
      };
    }
  }

  #drop(track) {
    for (const slot of ['audio', 'camera', 'screen']) {
      if (this[slot] === track) this[slot] = null;
    }
  }

  /** Muting keeps the device: speaking again must take no time. */
  async setAudio(on) {
    if (on && !this.audio) await this.#openOne('audio');
    if (this.audio) this.audio.enabled = on;
  }

  /** Turning the camera off releases it, so that its light goes out. */
  async setCamera(on) {
    if (on && !this.camera) await this.#openOne('video');
    if (!on && this.camera) {
      this.camera.onended = null;
      this.camera.stop();
      this.camera = null;
    }
  }

  /** Rejects with a DOMException if the visitor chose nothing. */
  async share() {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } } });
    [this.screen] = stream.getVideoTracks();
    this.screen.contentHint = 'detail';
    this.screen.onended = () => {
      this.screen = null;
      this.onchange('video');
    };
  }

  unshare() {
    if (!this.screen) return;
    this.screen.onended = null;
    this.screen.stop();
    this.screen = null;
  }

  close() {
    for (const track of [this.audio, this.camera, this.screen]) {
      if (!track) continue;
      track.onended = null;
      track.stop();
    }
    this.audio = this.camera = this.screen = null;
  }
}

export function canShare() {
  return Boolean(navigator.mediaDevices?.getDisplayMedia);
}

async function isBlocked(name) {
  try {
    return (await navigator.permissions.query({ name })).state === 'denied';
  } catch {
    return false; // not every browser can be asked about every device
  }
}
