// How much of the visitor's picture each of the others is sent. In a mesh everybody sends to
// everybody, so with more people, each gets a smaller picture: no larger than it is shown there,
// and no more of it than the uplink has room for beside all voices.

const UPLINK_MAX = 3_000_000; // bits a second, of all pictures and voices to all peers
const UPLINK_MIN = 100_000;
const VOICE = 40_000; // bits a second to each peer, which no picture gets
const LEAST = 50_000; // bits a second, below which a picture is nothing but trouble
const BITS_A_PIXEL = 0.09; // of a face, in VP8
const SCREEN_SHARE = 0.75; // of what a peer is sent, beside a camera: letters need more than faces
const HEIGHTS = [90, 180, 240, 360, 480, 720, 1080]; // of pictures, so that few changes of a tile change one
const SIZES = [ // of the picture, by how many others there are at most
  { others: 1, height: 1080, rate: 30 },
  { others: 3, height: 480, rate: 24 },
  { others: 5, height: 360, rate: 20 },
  { others: Infinity, height: 240, rate: 15 },
];
const SCREEN_RATE = 15; // frames a second
const FIRST = 5; // samples of a connection that say nothing: it looks for its pace, and loses
const RECENT = 3; // samples over which losses are told: the far end says only now and then what it has
const FEWEST = 50; // packets that say anything of losses
const PATIENCE = 4; // seconds of much loss in a row: more than one burst makes in recent samples
const LOSSY = 0.08; // share of what is sent: above it, there is too much
const SOUND = 0.02; // below it, there may be more
const LESS = 0.7;
const MORE = 1.08;

/**
 * What RTCRtpSender.setParameters is to be told for one picture of one peer's. `others` are in the
 * call; `height` is the camera's, in pixels; `shown` is how high the peer shows it, in its own
 * pixels, null if it has not said; `uplink` is what there is for all, in bits a second. `isScreen`,
 * `hasBoth` where a camera and a screen are sent, and `isNew`: a picture that nobody may have seen
 * yet never pauses, as its receiver would wait for it in vain.
 */
export function encodingOf({
  others, height, shown = null, uplink = UPLINK_MAX, isScreen = false, hasBoth = false, isNew = false,
}) {
  const share = hasBoth ? isScreen ? SCREEN_SHARE : 1 - SCREEN_SHARE : 1;
  const room = Math.floor((uplink / Math.max(1, others) - VOICE) * share);
  const active = isNew || (room >= LEAST && shown !== 0);
  const most = Math.max(room, LEAST);
  if (isScreen) return { active, scaleResolutionDownBy: 1, maxFramerate: SCREEN_RATE, maxBitrate: most };
  const size = SIZES.find((each) => others <= each.others);
  const wanted = Math.min(size.height, HEIGHTS.find((each) => each >= (shown || Infinity)) ?? size.height);
  const sent = Math.min(wanted, height || wanted);
  const enough = Math.round(sent * sent * 16 / 9 * size.rate * BITS_A_PIXEL);
  return {
    active,
    scaleResolutionDownBy: Math.max(1, (height || sent) / sent),
    maxFramerate: size.rate,
    maxBitrate: Math.max(LEAST, Math.min(most, enough)),
  };
}

/**
 * The share of what is sent to a peer that was lost in the last seconds, from the samples of its
 * connection; null if it isn't known, as in the first seconds on a path.
 */
export function lossOf(samples) {
  const recent = samples.slice(samples.findLastIndex(({ path }) => !path) + 1).slice(FIRST).slice(-RECENT);
  const sum = (count) => recent.reduce((all, { up }) => all + (up[count] ?? 0), 0);
  const packets = sum('packets');
  if (recent.length < RECENT || packets < FEWEST || recent.at(-1).up.lost === null) return null;
  return Math.min(1, sum('lost') / packets);
}

/** What the uplink has room for, from what is lost on it. */
export class Uplink {
  bits = UPLINK_MAX;

  #lossy = 0; // seconds in a row

  /**
   * Takes, each second, the share that was lost to each peer, null where it isn't known. What all
   * of them lose is lost on the uplink; what one loses alone, on its own way there.
   */
  take(losses) {
    const known = losses.filter((loss) => loss !== null);
    const loss = known.length ? Math.min(...known) : null;
    this.#lossy = loss > LOSSY ? this.#lossy + 1 : 0;
    if (this.#lossy === PATIENCE) {
      this.#lossy = 0;
      this.bits = Math.max(UPLINK_MIN, Math.round(this.bits * LESS));
    } else if (loss !== null && loss < SOUND) {
      this.bits = Math.min(UPLINK_MAX, Math.round(this.bits * MORE));
    }
  }
}
