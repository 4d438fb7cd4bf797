// Events: what sessions, rooms, calls and peers tell an application.

export class Emitter {
  #listeners = new Map(); // type -> Map(listener -> whether once is enough)

  on(type, listener, once = false) {
    this.#listeners.set(type, (this.#listeners.get(type) ?? new Map()).set(listener, once));
    return () => this.off(type, listener);
  }

  once(type, listener) {
    return this.on(type, listener, true);
  }

  off(type, listener) {
    this.#listeners.get(type)?.delete(listener);
  }

  _heard(type) {
    return this.#listeners.get(type)?.size > 0;
  }

  _emit(type, detail = {}) {
    for (const [listener, once] of [...(this.#listeners.get(type) ?? [])]) {
      if (once) this.off(type, listener);
      try {
        listener(detail);
      } catch (error) {
        reportError(error); // a broken listener must not break signaling
      }
    }
  }
}
