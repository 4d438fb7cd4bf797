// Events: what sessions, rooms, calls and peers tell an application.

export class Emitter {
  #listeners = new Map();

  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(listener);
    return () => this.#listeners.get(type).delete(listener);
  }

  _heard(type) {
    return this.#listeners.get(type)?.size > 0;
  }

  _emit(type, detail = {}) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        reportError(error); // a broken listener must not break signaling
      }
    }
  }
}
