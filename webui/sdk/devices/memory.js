// The devices that a visitor has chosen, from one visit to the next.

export class Memory {
  #key;
  #chosen = {}; // kind -> device id

  // Without a key, nothing outlives the page.
  constructor(key) {
    this.#key = key;
    try {
      this.#chosen = { ...JSON.parse(key ? localStorage.getItem(key) : null) };
    } catch {
      // The browser may deny storage to the page, and anybody may write into it.
    }
  }

  get(kind) {
    const id = this.#chosen[kind];
    return typeof id === 'string' ? id : '';
  }

  set(kind, id) {
    this.#chosen[kind] = id;
    try {
      if (this.#key) localStorage.setItem(this.#key, JSON.stringify(this.#chosen));
    } catch {
      // Then the choice lasts as long as the page.
    }
  }
}
