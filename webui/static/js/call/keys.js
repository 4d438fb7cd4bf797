// The keys of a call. Where somebody writes or chooses, keys are letters.
import { byId } from '../dom.js';

const BUTTONS = { m: 'mute', v: 'camera', s: 'share', c: 'chat-toggle' };

export class Keys {
  #media;
  #isTalking = false; // as long as the space bar is held

  /** `active()` tells whether there is a call. */
  constructor(media, active) {
    this.#media = media;
    document.addEventListener('keydown', (event) => active() && this.#press(event));
    document.addEventListener('keyup', ({ key }) => key === ' ' && this.#endTalk());
    addEventListener('blur', () => this.#endTalk());
    byId('keys-screen').hidden = !media.canShare;
    byId('keys-open').addEventListener('click', () => this.#help());
    byId('keys-close').addEventListener('click', () => byId('keys').close());
  }

  #press(event) {
    const { key, target, repeat, ctrlKey, altKey, metaKey } = event;
    if (ctrlKey || altKey || metaKey || target.closest('input, select, textarea, dialog')) return;
    const button = byId(BUTTONS[key.toLowerCase()]);
    if (key === '?') this.#help();
    else if (button && !button.hidden && !repeat) button.click();
    else if (key !== ' ' || target.closest('button, a')) return; // there, it presses what has the focus
    else if (!repeat) this.#talk();
    event.preventDefault(); // a letter must not end up in a field that the key opens, nor a page scroll
  }

  #talk() {
    if (!this.#media.isMuted('microphone')) return;
    this.#isTalking = true;
    this.#media.unmute('microphone').catch(() => {}); // the page says why
  }

  #endTalk() {
    if (this.#isTalking) this.#media.mute('microphone');
    this.#isTalking = false;
  }

  #help() {
    byId('settings').close();
    if (!byId('keys').open) byId('keys').showModal();
  }
}
