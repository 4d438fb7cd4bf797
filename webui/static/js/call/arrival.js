// Somebody comes while the visitor may be looking elsewhere: two tones, and a word in the title.
import { onLanguage, t } from '../i18n.js';
import { sound } from '../tones.js';

export class Arrival {
  #title;
  #name = null; // who has come while nobody looked
  #context = null;

  /** `title()` gives the page's own. */
  constructor(title) {
    this.#title = title;
    document.addEventListener('visibilitychange', () => document.hidden || this.#say(null));
    onLanguage(() => this.#say(this.#name));
    this.#say(null);
  }

  /** To be called while the visitor presses something: later, the browser may allow no sound. */
  prepare() {
    this.#context ??= new AudioContext();
  }

  came(name) {
    if (document.hidden) this.#say(name);
    sound(this.#context);
  }

  #say(name) {
    this.#name = name;
    document.title = name === null ? this.#title() : `${t('call.came', { name })} · ${this.#title()}`;
  }
}
