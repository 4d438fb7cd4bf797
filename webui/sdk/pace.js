// How often ICE may restart: every two seconds, and six times a minute.

const GAP_MS = 2000;
const RESTARTS = 6; // in a minute
const MINUTE_MS = 60_000;

export class Pace {
  #restarts = Array(RESTARTS).fill(-Infinity); // when the last ones were

  // Milliseconds to wait before the next restart; 0 counts it.
  next() {
    const now = performance.now();
    const next = Math.max(this.#restarts.at(-1) + GAP_MS, this.#restarts[0] + MINUTE_MS);
    if (next > now) return next - now;
    this.#restarts = [...this.#restarts.slice(1), now];
    return 0;
  }
}
