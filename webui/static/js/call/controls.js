// Microphone, camera and screen buttons, in the lobby and in the call: two sets for one state. What
// is turned off stays so in this tab.
import { MediaError } from '/signalbox-media.js';
import { byId, setIcon } from '../dom.js';
import { label } from '../i18n.js';

const REMEMBERED = 'signalbox.off';

export class Controls {
  constructor(media) {
    this.media = media;
    for (const kind of stored()) media.mute(kind);
    this.microphones = [byId('lobby-mic'), byId('mute')];
    this.cameras = [byId('lobby-camera'), byId('camera')];
    this.share = byId('share');
    this.share.hidden = !media.canShare;
    for (const button of this.microphones) this.#bind(button, () => this.#toggle('microphone'));
    for (const button of this.cameras) this.#bind(button, () => this.#toggle('camera'));
    this.#bind(this.share, () => (this.#isWanted('screen') ? media.unshare() : media.share()));
    this.refresh();
  }

  /** What the others are told, since an absent track alone doesn't say whether one is to come. */
  get state() {
    const { media } = this;
    return { audio: media.isOn('microphone'), video: Boolean(media.camera) };
  }

  refresh() {
    const hears = this.#isWanted('microphone');
    for (const button of this.microphones) show(button, hears, 'mic', 'control.mute', 'control.unmute');
    const sees = this.#isWanted('camera');
    for (const button of this.cameras) show(button, sees, 'camera', 'control.camera.off', 'control.camera.on');
    const sharing = Boolean(this.media.screen);
    this.share.toggleAttribute('data-active', sharing);
    label(this.share, sharing ? 'control.share.stop' : 'control.share');
  }

  /** Whether it is on, or will be once the visitor has answered the browser's question. */
  #isWanted(kind) {
    return this.media.isOn(kind) || this.media.isPending(kind) && !this.media.isMuted(kind);
  }

  #toggle(kind) {
    const isOff = this.#isWanted(kind);
    store(kind, isOff);
    return isOff ? this.media.mute(kind) : this.media.unmute(kind);
  }

  #bind(button, action) {
    button.addEventListener('click', async () => {
      try {
        const done = action();
        this.refresh();
        await done;
      } catch (error) {
        // The page says why a device can't be had: see trouble.js.
        if (!(error instanceof MediaError)) throw error;
      } finally {
        this.refresh();
      }
    });
  }
}

function stored() {
  try {
    const kinds = sessionStorage.getItem(REMEMBERED)?.split(' ') ?? [];
    return ['microphone', 'camera'].filter((kind) => kinds.includes(kind));
  } catch {
    return []; // storage is denied to the page
  }
}

function store(kind, isOff) {
  const kinds = new Set(stored());
  kinds[isOff ? 'add' : 'delete'](kind);
  try {
    sessionStorage.setItem(REMEMBERED, [...kinds].join(' '));
  } catch {
    // Then it lasts as long as the page.
  }
}

function show(button, on, name, offLabel, onLabel) {
  button.toggleAttribute('data-off', !on);
  setIcon(button, on ? name : `${name}-off`);
  label(button, on ? offLabel : onLabel);
}
