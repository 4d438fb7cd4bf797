// Where sound is heard: one speaker for all elements that play a call.
import { MediaError, mediaError } from './errors.js';

export class Speaker {
  #elements = new Set();
  #inUse = ''; // the system's own choice

  get id() {
    return this.#inUse;
  }

  // Returns a function that gives the element back.
  add(element) {
    this.#elements.add(element);
    if (this.#inUse) route(element, this.#inUse).catch(() => {});
    return () => this.#elements.delete(element);
  }

  // With nothing that plays yet, an element of its own tells whether the speaker can be had.
  async use(id) {
    if (!HTMLMediaElement.prototype.setSinkId) throw new MediaError('unsupported', 'speaker');
    try {
      await Promise.all([new Audio(), ...this.#elements].map((element) => route(element, id)));
      this.#inUse = id;
    } catch (error) {
      await Promise.all([...this.#elements].map((element) => route(element, this.#inUse).catch(() => {})));
      throw mediaError('speaker', error);
    }
  }
}

async function route(element, id) {
  if (element.sinkId !== id) await element.setSinkId?.(id);
}
