// How often ICE may restart: every two seconds, and six times a minute.

const GAP_MS = 2000;
const RESTARTS = 6; // in a minute
const MINUTE_MS = 60_000;

export class Pace {
  #restarts = []; // when, in the last minute

  // Milliseconds to wait before the next restart; 0 counts it.
  next() {
    const now = performance.now();
    this.#restarts = this.#restarts.filter((at) => now - at < MINUTE_MS);
    const next = Math.max(
      (this.#restarts.at(-1) ?? -Infinity) + GAP_MS,
      this.#restarts.length < RESTARTS ? 0 : this.#restarts[0] + MINUTE_MS,
    );
    if (next > now) return next - now;
    this.#restarts.push(now);
    return 0;
  }
}
