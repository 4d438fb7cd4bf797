// Why a device can't be had, or is gone, in words, where the lobby's list doesn't say it; and which
// one has taken its place.
import { byId } from '../dom.js';
import { locale, say } from '../i18n.js';

const SHOWN_MS = 15_000;
const FROZEN = 'device.frozen';

export class Trouble {
  #kind = null; // of the device that it is about
  #key = null; // of what is shown
  #isFrozen = false;
  #errors = new Map(); // kind -> why its device has gone
  #isListed;
  #timer;

  constructor(media, isListed) {
    this.#isListed = isListed;
    media.on('error', ({ error }) => this.show(error));
    for (const type of ['track', 'muted']) {
      media.on(type, ({ kind, reason }) => kind === this.#kind && reason !== 'ended' && this.hide());
    }
    media.on('track', ({ kind, track, reason }) => {
      if (kind === 'camera') this.setFrozen(false); // another one may do better
      const error = this.#errors.get(kind);
      if (track) this.#errors.delete(kind);
      if (reason !== 'fallback') return;
      this.#say(kind, 'device.fallback', { why: () => error?.words(locale()), device: track.label });
    });
  }

  show(error) {
    this.#errors.set(error.kind, error);
    if (error.code === 'superseded' || this.#isListed(error)) return;
    if (error.kind === 'screen' && error.code === 'dismissed') return; // that is an answer, not a failure
    this.#say(error.kind, 'media.error', { words: () => error.words(locale()) });
  }

  /** The camera is shown here and seen by nobody else, or seen again. It is said while it lasts. */
  setFrozen(isFrozen) {
    this.#isFrozen = isFrozen;
    if (!this.#key || this.#key === FROZEN) this.hide(); // what else is said has its while
  }

  /** What lasts stays. */
  hide() {
    clearTimeout(this.#timer);
    this.#kind = this.#key = null;
    if (this.#isFrozen) return this.#say('camera', FROZEN);
    byId('trouble').hidden = true;
    say(byId('trouble-text'), '');
  }

  #say(kind, key, params) {
    this.#kind = kind;
    this.#key = key;
    say(byId('trouble-text'), key, params);
    byId('trouble').hidden = false;
    clearTimeout(this.#timer);
    if (key !== FROZEN) this.#timer = setTimeout(() => this.hide(), SHOWN_MS);
  }
}
