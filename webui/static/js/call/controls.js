// Microphone, camera and screen buttons, in the lobby and in the call: two sets for one state.
import { byId, setIcon } from '../dom.js';
import { label } from '../i18n.js';
import { canShare } from './media.js';

export class Controls {
  audioOn = true;
  videoOn = true;

  /** `onchange(kind)` follows every change of what is sent. */
  constructor(media, { onchange }) {
    this.media = media;
    this.onchange = onchange;
    this.microphones = [byId('lobby-mic'), byId('mute')];
    this.cameras = [byId('lobby-camera'), byId('camera')];
    this.share = byId('share');
    this.share.hidden = !canShare();
    for (const button of this.microphones) this.#bind(button, 'audio', () => this.#setAudio(!this.#has('audio')));
    for (const button of this.cameras) this.#bind(button, 'video', () => this.#setCamera(!this.#has('video')));
    this.#bind(this.share, 'video', () => (media.screen ? media.unshare() : media.share()));
    this.refresh();
  }

  /** Whether a microphone is open and not muted, or a camera is on. */
  #has(kind) {
    return kind === 'audio' ? Boolean(this.media.audio?.enabled) : Boolean(this.media.camera);
  }

  /** What the others are told, since an absent track alone doesn't say whether one is to come. */
  get state() {
    return { audio: this.#has('audio'), video: Boolean(this.media.video), screen: Boolean(this.media.screen) };
  }

  /** Applies what was switched off while the devices were still being opened. */
  async settle() {
    if (!this.audioOn) await this.media.setAudio(false);
    if (!this.videoOn) await this.media.setCamera(false);
    this.refresh();
  }

  refresh() {
    for (const button of this.microphones) show(button, this.#has('audio'), 'mic', 'control.mute', 'control.unmute');
    for (const button of this.cameras) {
      show(button, this.#has('video'), 'camera', 'control.camera.off', 'control.camera.on');
    }
    const sharing = Boolean(this.media.screen);
    this.share.toggleAttribute('data-active', sharing);
    label(this.share, sharing ? 'control.share.stop' : 'control.share');
  }

  #bind(button, kind, action) {
    button.addEventListener('click', async () => {
      button.disabled = true;
      try {
        await action();
      } catch (error) {
        // Choosing no screen is an answer, not a failure.
        if (!(error instanceof DOMException)) throw error;
      } finally {
        button.disabled = false;
        this.refresh();
        this.onchange(kind);
      }
    });
  }

  #setAudio(on) {
    this.audioOn = on;
    return this.media.setAudio(on);
  }

  #setCamera(on) {
    this.videoOn = on;
    return this.media.setCamera(on);
  }
}

function show(button, on, name, offLabel, onLabel) {
  button.toggleAttribute('data-off', !on);
  setIcon(button, on ? name : `${name}-off`);
  label(button, on ? offLabel : onLabel);
}
