// Who speaks, as the browser hears it.

const EVERY_MS = 200;
const HEARD = 0.02; // of full level
const LASTS_MS = 800; // between two words

export class Voices {
  #people;
  #heard = new WeakMap(); // element -> when
  #timer = setInterval(() => this.#look(), EVERY_MS);

  /** `people()` gives [{element, connection}]. */
  constructor(people) {
    this.#people = people;
  }

  end() {
    clearInterval(this.#timer);
  }

  #look() {
    const now = performance.now();
    for (const { element, connection } of this.#people()) {
      if (connection.getReceivers().some(isHeard)) this.#heard.set(element, now);
      element.toggleAttribute('data-speaks', now - (this.#heard.get(element) ?? -Infinity) < LASTS_MS);
    }
  }
}

function isHeard(receiver) {
  return receiver.track.kind === 'audio'
    && receiver.getSynchronizationSources().some(({ audioLevel }) => audioLevel > HEARD);
}
