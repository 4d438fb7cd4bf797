// How loud a track is.

const FLOOR_DB = -60; // and less: silence

export class Meter {
  #context = new AudioContext();
  #analyser = this.#context.createAnalyser();
  #samples = new Float32Array(this.#analyser.fftSize);

  constructor(track) {
    this.track = track;
    this.#context.createMediaStreamSource(new MediaStream([track])).connect(this.#analyser);
  }

  // From 0 to 1, on a scale of decibels, as ears have it.
  get level() {
    // A browser may keep it from running until the visitor has touched the page.
    if (this.#context.state === 'suspended') this.#context.resume().catch(() => {});
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return loudness(this.#samples);
  }

  stop() {
    if (this.#context.state !== 'closed') this.#context.close();
  }
}

export function loudness(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return Math.min(1, Math.max(0, 1 - 10 * Math.log10(power) / FLOOR_DB));
}
