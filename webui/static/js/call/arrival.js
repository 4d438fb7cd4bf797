// Somebody comes while the visitor may be looking elsewhere: two tones, and a word in the title.
import { onLanguage, t } from '../i18n.js';

const TONES = [[660, 0], [880, 0.13]]; // hertz, and seconds from now
const LOUDNESS = 0.12;
const SECONDS = 0.3;

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
    this.#sound();
  }

  #say(name) {
    this.#name = name;
    document.title = name === null ? this.#title() : `${t('call.came', { name })} · ${this.#title()}`;
  }

  #sound() {
    const context = this.#context;
    if (context?.state !== 'running') return;
    for (const [frequency, after] of TONES) {
      const at = context.currentTime + after;
      const tone = new OscillatorNode(context, { frequency });
      const gain = new GainNode(context, { gain: 0 });
      gain.gain.linearRampToValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(LOUDNESS, at + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.001, at + SECONDS);
      tone.connect(gain).connect(context.destination);
      tone.start(at);
      tone.stop(at + SECONDS);
    }
  }
}
