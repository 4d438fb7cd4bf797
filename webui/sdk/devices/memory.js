// The devices that a visitor has chosen, from one visit to the next.

export class Memory {
  #key;
  #chosen = {}; // kind -> device id

  // Without a key, nothing outlives the page.
  constructor(key) {
    this.#key = key;
    this.#chosen = this.#stored;
  }

  get(kind) {
    const id = this.#chosen[kind];
    return typeof id === 'string' ? id : '';
  }

  // Another tab may have chosen something, too.
  set(kind, id) {
    this.#chosen[kind] = id;
    try {
      if (this.#key) localStorage.setItem(this.#key, JSON.stringify({ ...this.#stored, [kind]: id }));
    } catch {
      // Then the choice lasts as long as the page.
    }
  }

  get #stored() {
    try {
      return { ...JSON.parse(this.#key ? localStorage.getItem(this.#key) : null) };
    } catch {
      return {}; // the browser may deny storage to the page, and anybody may write into it
    }
  }
}
