// Timers by name, of which one replaces another of its name, and all end together.

export class Timers {
  #running = {};

  later(name, ms, run) {
    this.clear(name);
    this.#running[name] = setTimeout(run, ms);
  }

  clear(name) {
    clearTimeout(this.#running[name]);
  }

  clearAll() {
    for (const name in this.#running) this.clear(name);
  }
}
