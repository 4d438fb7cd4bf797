// A minute of what goes through a peer's connection, a sample a second.
import { Emitter } from '../emitter.js';
import { selectedPath } from '../path.js';
import { candidatesOf } from './candidates.js';
import { readReport } from './reports.js';
import { lossOf, sampleOf } from './sample.js';
import { verdictOf } from './verdict.js';

const SAMPLE_MS = 1000;
const KEPT = 60; // samples
const LOSS_WINDOW = 10; // samples; what is said of losses comes only every few seconds

export class Stats extends Emitter {
  samples = []; // oldest first
  verdict = { code: 'unknown' };

  #source;
  #timer;
  #before = null; // what the last report said
  #asked = null; // the connection that is being asked

  // The source is a peer, whose connection may be replaced, or a connection.
  constructor(source) {
    super();
    this.#source = source;
    this.#timer = setInterval(() => this.#look(), SAMPLE_MS);
    this.#look();
  }

  get last() {
    return this.samples.at(-1) ?? null;
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  get #connection() {
    return this.#source.connection ?? this.#source;
  }

  async #look() {
    const connection = this.#connection;
    if ((this.#source.state ?? connection.connectionState) === 'closed') return this.stop();
    if (this.#asked === connection) return; // one that is slow to answer is not asked again meanwhile
    this.#asked = connection;
    try {
      const asked = performance.now();
      // Each look at a browser's own report copies what it looks at.
      const report = new Map(await connection.getStats());
      const took = performance.now() - asked;
      const path = await this.#source.path?.(report);
      if (this.#timer && connection === this.#connection) this.#take(connection, report, { took, path });
    } catch {
      // It was closed meanwhile.
    } finally {
      if (this.#asked === connection) this.#asked = null;
    }
  }

  // Only a peer knows what the far end says of its relay.
  #take(connection, report, { took, path = pathOf(report) }) {
    const now = { connection, at: performance.now(), ...readReport(report), candidates: candidatesOf(report) };
    const before = this.#before?.connection === connection ? this.#before : null;
    this.#before = now;
    if (!before) return;
    const sample = sampleOf(before, now, now.at - before.at);
    this.#keep({
      at: Date.now(),
      took: Math.round(took),
      path: connection.connectionState === 'connected' && path ? nameOf(path) : null,
      ...sample,
      candidates: now.candidates,
      rtt: path?.rtt ?? sample.rtt,
    });
  }

  #keep(sample) {
    this.samples = [...this.samples, sample].slice(-KEPT);
    for (const way of ['up', 'down']) sample[way].loss = lossOf(this.samples.slice(-LOSS_WINDOW), way);
    this._emit('sample', { sample });
    const verdict = verdictOf(this.samples);
    if (JSON.stringify(verdict) === JSON.stringify(this.verdict)) return;
    this.verdict = verdict;
    this._emit('verdict', { verdict });
  }
}

function pathOf(report) {
  const path = selectedPath(report);
  return path && { ...path, kind: path.farRelay ? 'relay' : path.kind };
}

function nameOf({ kind, protocol }) {
  return kind === 'relay' ? `relay-${protocol}` : kind;
}
