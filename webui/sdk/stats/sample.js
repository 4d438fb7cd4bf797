// A sample: what went through a connection in about a second, from two of its reports.

const FEWEST = 50; // packets that say anything of losses

// `before` and `now` are reports as read, `ms` apart. Nothing is known of a stream that has just
// begun.
export function sampleOf(before, now, ms) {
  const pairs = [...now.streams].filter(([id]) => before.streams.has(id))
    .map(([id, stream]) => ({ stream, old: before.streams.get(id) }));
  return {
    rtt: Math.round(Math.max(0, ...[...now.streams.values()].map(({ rtt = 0 }) => rtt))) || null,
    up: {
      ...direction(pairs.filter(({ stream }) => stream.isUp), ms),
      available: now.available,
      captured: captured(before, now),
    },
    down: direction(pairs.filter(({ stream }) => !stream.isUp), ms),
  };
}

// Frames; null if no source is known from before.
function captured(before, now) {
  const known = [...now.sources].filter(([id]) => before.sources.has(id));
  if (!known.length) return null;
  return known.reduce((sum, [id, frames]) => sum + Math.max(0, frames - before.sources.get(id)), 0);
}

function direction(pairs, ms) {
  const audio = flow(pairs.filter(({ stream }) => stream.kind === 'audio'), ms);
  const video = flow(pairs.filter(({ stream }) => stream.kind === 'video'), ms);
  const told = pairs.filter(({ stream }) => stream.lost !== undefined);
  return {
    bitrate: (audio?.bitrate ?? 0) + (video?.bitrate ?? 0),
    packets: total(pairs, 'packets'),
    lost: told.length ? total(told, 'lost') : null,
    audio,
    video,
  };
}

// Streams of one kind are one flow, such as the layers of a picture; the widest speaks for all.
function flow(pairs, ms) {
  if (!pairs.length) return null;
  const { stream } = pairs.reduce((best, pair) => (pair.stream.width > best.stream.width ? pair : best));
  const made = { codec: stream.codec, bitrate: Math.round(total(pairs, 'bytes') * 8000 / ms) };
  if (stream.kind === 'video') Object.assign(made, { width: stream.width, height: stream.height, fps: stream.fps });
  if (stream.isUp) made.limited = stream.limited;
  else made.jitter = Math.round(stream.jitter);
  if (!stream.isUp && stream.kind === 'video') {
    Object.assign(made, { frames: total(pairs, 'frames'), dropped: total(pairs, 'dropped') });
  }
  return made;
}

// A count of packets that were lost may go back, when they come late after all.
function total(pairs, name) {
  return pairs.reduce((sum, { stream, old }) => sum + Math.max(0, stream[name] - (old[name] ?? 0)), 0);
}

// The share of lost packets, from 0 to 1, over several samples; null if there are too few to tell.
export function lossOf(samples, way) {
  const packets = samples.reduce((sum, sample) => sum + sample[way].packets, 0);
  const lost = samples.reduce((sum, sample) => sum + sample[way].lost, 0);
  return packets < FEWEST || samples.at(-1)[way].lost === null ? null : Math.min(1, lost / packets);
}
