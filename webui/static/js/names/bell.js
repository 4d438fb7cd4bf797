// Somebody rings: tones, the title, and a notification where the visitor may be looking elsewhere.
import { onLanguage, t } from '../i18n.js';
import { sound } from '../tones.js';

const EVERY_MS = 2000;
const FAVICON = '/assets/favicon.svg';

export class Bell {
  #title = document.title;
  #key = null;
  #name = null; // whoever rings
  #shown = null; // in the title
  #context = null;
  #timer;
  #note = null;

  constructor() {
    document.addEventListener('visibilitychange', () => document.hidden || this.#name || this.#say(null));
    onLanguage(() => {
      this.#title = t('home.title');
      this.#say(this.#key, this.#shown);
    });
  }

  /** To be called while the visitor presses something: later, the browser may allow no sound. */
  prepare() {
    try {
      this.#context ??= new AudioContext();
    } catch {
      // Then it rings without a sound.
    }
    this.#context?.resume();
  }

  /** Rings for that name; null: no longer. */
  ring(name) {
    if (name === this.#name) return;
    this.#name = name;
    clearInterval(this.#timer);
    this.#note?.close();
    this.#note = null;
    this.#say(name === null ? null : 'names.rings', name);
    if (name === null) return;
    sound(this.#context);
    this.#timer = setInterval(() => sound(this.#context), EVERY_MS);
    this.#notify(t('names.rings', { user: name }));
  }

  /** Somebody has rung in vain. */
  missed(name) {
    if (document.hidden) this.#say('names.ended.missed', name);
  }

  #say(key, user) {
    this.#key = key;
    this.#shown = user;
    document.title = key ? `${t(key, { user })} · ${this.#title}` : this.#title;
  }

  #notify(text) {
    if (!document.hidden || globalThis.Notification?.permission !== 'granted') return;
    try {
      this.#note = new Notification(text, { icon: FAVICON, tag: 'signalbox', requireInteraction: true });
      this.#note.onclick = () => focus();
    } catch {
      // Phones let only service workers notify.
    }
  }
}
