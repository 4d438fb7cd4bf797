// Timers for what may happen only so often.
import { Timers } from './timers.js';

export class Turns extends Timers {
  #limits;
  #taken = new Map(); // by name -> {last, due}: the last turn, and when all turns have had their time

  // So `many` turns, then one every `ms`; and between two, never less than the `gap`, also in ms.
  constructor(...limits) {
    super();
    this.#limits = limits;
  }

  // Whether what has this name may happen now. If not, there is another try `again` when it may: of
  // several, the last.
  take(name, again) {
    const [many, ms, gap] = this.#limits;
    const now = performance.now();
    for (const [each, { due }] of this.#taken) if (due < now) this.#taken.delete(each);
    const { due = now, last = -gap } = this.#taken.get(name) ?? {};
    const at = Math.max(due + ms - many * ms, last + gap);
    this.clear(name);
    if (at > now) return this.later(name, at - now, again);
    this.#taken.set(name, { due: due + ms, last: now });
    return true;
  }
}
