// What somebody who waits alone can do: hand on the link, as text, by what the system shares with,
// or as a code for a phone's camera.
import { byId, copy } from '../dom.js';
import { say } from '../i18n.js';
import { isShared, sharedURL } from '../origin.js';

const SAID_MS = 2000;

export class Invite {
  #url = sharedURL();
  #timer;
  #isDrawn = false;

  constructor() {
    byId('invite-link').textContent = this.#url;
    byId('invite-local').hidden = isShared(this.#url);
    byId('invite-share').hidden = !navigator.share;
    byId('invite-share').addEventListener('click', () => this.#share());
    byId('invite-copy').addEventListener('click', () => this.#copy());
    byId('invite-code').hidden = true;
  }

  show(isAlone) {
    if (isAlone) this.#draw();
    byId('invite').hidden = !isAlone;
    byId('tiles').toggleAttribute('data-alone', isAlone);
  }

  #share() {
    // Who closes the system's sheet doesn't want to share.
    navigator.share({ title: document.title, url: this.#url }).catch(() => {});
  }

  async #copy() {
    say(byId('invite-copy'), (await copy(this.#url)) ? 'copied' : 'copy.failed');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => say(byId('invite-copy'), 'call.copy'), SAID_MS);
  }

  async #draw() {
    if (this.#isDrawn || !isShared(this.#url)) return;
    this.#isDrawn = true;
    const { drawCode } = await import('../qr.js').catch(() => ({})); // the link alone does it
    byId('invite-code').hidden = !drawCode?.(byId('invite-qr'), this.#url);
  }
}
