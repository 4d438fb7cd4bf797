// What is wrong with a connection, if anything: a code and its figures.
import { lossOf } from './sample.js';

const WINDOW = 10; // samples that decide
const FEWEST_SAMPLES = 3;

const LOSS = 0.03;
const SLOW_MS = 400;
const JITTER_MS = 80;
const NARROW = 1.25; // what is sent fills the uplink, but for so much

// The worst comes first: who has no path needs no word about his loss.
export function verdictOf(samples) {
  const recent = samples.slice(-WINDOW);
  if (recent.length < FEWEST_SAMPLES) return { code: 'unknown' };
  const last = recent.at(-1);
  if (!last.path) return { code: 'no-path' };
  const lossy = ['up', 'down'].map((way) => ({ way, loss: lossOf(recent, way) ?? 0 }))
    .sort((a, b) => b.loss - a.loss)[0];
  if (lossy.loss >= LOSS) return { code: `${lossy.way}link-loss`, percent: Math.round(lossy.loss * 100) };
  const rtt = median(recent.map((sample) => sample.rtt ?? 0));
  if (rtt >= SLOW_MS) return { code: 'slow', rtt };
  const jitter = median(recent.map(({ down }) => Math.max(down.audio?.jitter ?? 0, down.video?.jitter ?? 0)));
  if (jitter >= JITTER_MS) return { code: 'jitter', jitter };
  if (isMost(recent, ({ up }) => isNarrow(up))) return { code: 'uplink-narrow' };
  if (isMost(recent, ({ up }) => up.video?.limited === 'cpu')) return { code: 'cpu' };
  return { code: 'good' };
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

// An application may have set a bound of its own, which is called the same.
function isNarrow({ video, available, bitrate }) {
  return video?.limited === 'bandwidth' && available !== null && available < bitrate * NARROW;
}

function isMost(samples, so) {
  return samples.filter(so).length * 2 > WINDOW;
}
