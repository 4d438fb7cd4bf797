// The last hour as three plots.
import { plot } from '../call/plot.js';
import { byId } from '../dom.js';
import { label } from '../i18n.js';
import { history } from './api.js';
import { number, rate } from '../numbers.js';

const HOUR_MS = 3_600_000;

export class Plots {
  #points = [];
  #every = 10;
  #asked = 0;

  constructor() {
    addEventListener('resize', () => this.draw());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  /** Fetches what has come since, once there may be something. */
  async refresh() {
    if (Date.now() - this.#asked < this.#every * 1000) return;
    this.#asked = Date.now();
    const { every, points } = await history(this.#points.at(-1)?.at ?? 0);
    this.#every = every;
    const latest = points.at(-1)?.at ?? 0;
    this.#points = [...this.#points, ...points].filter(({ at }) => at > latest - HOUR_MS || latest === 0);
    this.draw();
  }

  draw() {
    for (const [name, words] of [['relayed', rate], ['allocations', number], ['sessions', number]]) {
      const canvas = byId(`plot-${name}`);
      const line = this.#line(name);
      plot(canvas, [line], { samples: this.#slots(), words: (most) => words(Math.ceil(most)) });
      label(canvas, `admin.plot.${name}`, { now: () => words(line.at(-1) ?? 0) });
    }
  }

  #slots() {
    return HOUR_MS / 1000 / this.#every;
  }

  // The box may have been down or this tab away: a point stands where its time is.
  #line(name) {
    const slots = this.#slots();
    const line = Array(slots).fill(null);
    const end = this.#points.at(-1)?.at ?? 0;
    for (const point of this.#points) {
      const slot = slots - 1 - Math.round((end - point.at) / 1000 / this.#every);
      if (slot >= 0) line[slot] = point[name];
    }
    return line;
  }
}
