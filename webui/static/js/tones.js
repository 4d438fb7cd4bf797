// Two tones, rising: somebody is there.

const TONES = [[660, 0], [880, 0.13]]; // hertz, and seconds from now
const LOUDNESS = 0.12;
const SECONDS = 0.3;

/** Sounds once, if the browser lets the context sound. */
export function sound(context) {
  if (context?.state !== 'running') return;
  for (const [frequency, after] of TONES) {
    const at = context.currentTime + after;
    const tone = new OscillatorNode(context, { frequency });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.linearRampToValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(LOUDNESS, at + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.001, at + SECONDS);
    tone.connect(gain).connect(context.destination);
    tone.start(at);
    tone.stop(at + SECONDS);
  }
}
