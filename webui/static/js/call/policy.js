// How much of the visitor's picture each of the others is sent, and how voices are. In a mesh
// everybody sends to everybody, so with more people, each gets a smaller picture: no larger than it
// is shown there, no more of it than the uplink has room for beside all voices, and no more than
// both machines have time for.

const UPLINK_MAX = 3_000_000; // bits a second, of all pictures and voices to all peers
const UPLINK_MIN = 100_000;
const VOICE = 40_000; // bits a second to each peer, which no picture gets
const NEAR = 2; // others, up to whom a voice comes in packets of a browser's own length, 20 ms
const PACKET_MS = 40; // with more: half the packets, each with headers of 60 bytes for 80 of a voice
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
const CAMERA_HEIGHT = 720; // is what it is asked for at first
const SCREEN_RATE = 15; // frames a second
const SPARE_RATE = 0.7; // of the frames, at each step that is spared; a face is a size smaller, too
const SLOWEST = 5; // frames a second
export const SPARE_MAX = 3; // steps
const FIRST = 5; // samples of a connection that say nothing: it looks for its pace, and loses
const RECENT = 3; // samples over which losses are told: the far end says only now and then what it has
const FEWEST = 50; // packets that say anything of losses
const PATIENCE = 4; // seconds of much loss in a row: more than one burst makes in recent samples
const LOSSY = 0.08; // share of what is sent: above it, there is too much
const SOUND = 0.02; // below it, there may be more
const QUIET = 15; // seconds in which nothing is known of losses, as of who is muted and sends no picture
const LESS = 0.7;
const MORE = 1.08;
const SMALLER = 0.9; // of the height that a browser was set to: less, and it makes the picture smaller itself
const SLOWER = 0.75; // of the frames
const LATE = 0.2; // share of the frames that arrive: more of them dropped, and there is no time to show them
const LATE_FEWEST = 3; // frames that say anything
export const SLOW = 60; // ms until a browser says how a connection does: some ten of them, where it has time
const OVERWORKED = 5; // seconds in a row
const RELIEF = 15; // seconds without, after which more is tried; twice as long after each step back
const RELIEF_MAX = 240;
const FIRST_SOUND = /^m=audio .*(\r?\n(?!m=).*)*/m;
const OPUS = /^a=fmtp:.*\buseinbandfec=1\b[^\r\n]*/gm;

/**
 * What RTCRtpSender.setParameters is to be told for one picture of one peer's. `others` are in the
 * call; `height` is the camera's, in pixels; `shown` is how high the peer shows it, in its own
 * pixels, null if it has not said; `uplink` is what there is for all, in bits a second. `isScreen`,
 * `hasBoth` where a camera and a screen are sent, and `isNew`: a picture that nobody may have seen
 * yet never pauses, as its receiver would wait for it in vain. `spare` is how many steps less than
 * usual one of the two machines has time for.
 */
export function encodingOf({
  others, height, shown = null, uplink = UPLINK_MAX, isScreen = false, hasBoth = false, isNew = false, spare = 0,
}) {
  const share = hasBoth ? isScreen ? SCREEN_SHARE : 1 - SCREEN_SHARE : 1;
  const room = Math.floor((uplink / Math.max(1, others) - VOICE) * share);
  const active = isNew || (room >= LEAST && shown !== 0);
  const most = Math.max(room, LEAST);
  if (isScreen) return { active, scaleResolutionDownBy: 1, maxFramerate: slower(SCREEN_RATE, spare), maxBitrate: most };
  const size = SIZES.find((each) => others <= each.others);
  const wanted = Math.min(size.height, HEIGHTS.find((each) => each >= (shown || Infinity)) ?? size.height);
  const whole = Math.min(wanted, height || wanted);
  const sent = smaller(whole, spare);
  const rate = slower(size.rate, spare);
  const enough = Math.round(sent * sent * 16 / 9 * rate * BITS_A_PIXEL);
  return {
    active,
    scaleResolutionDownBy: Math.max(1, (height || whole) / sent),
    maxFramerate: rate,
    maxBitrate: Math.max(LEAST, Math.min(most, enough)),
  };
}

/**
 * How much the camera is to give, {height, rate}: what anybody may be sent. More would be made
 * smaller again for each of them, and cost time to show.
 */
export function cameraFor(others, spare = 0) {
  const { height, rate } = SIZES.find((each) => others <= each.others);
  return { height: smaller(Math.min(height, CAMERA_HEIGHT), spare), rate: slower(rate, spare) };
}

/**
 * A description of this end's, which asks for voices as so many others are to send them: longer
 * packets where there are many, as each costs every machine on its way the same, however short; and
 * next to nothing while somebody is silent or muted. It stands for a connection until the next
 * description of it: with each of those who come later, another number of others is there. Only the
 * first sound is a voice: what a screen sounds like may be soft, and no silence.
 */
export function withVoices(sdp, others) {
  const longer = others > NEAR ? `;ptime=${PACKET_MS}` : '';
  return sdp.replace(FIRST_SOUND, (section) => section.replace(OPUS, (line) => `${line};usedtx=1${longer}`));
}

function slower(rate, steps) {
  return Math.max(SLOWEST, Math.round(rate * SPARE_RATE ** steps));
}

// The height that is so many sizes below, or the least.
function smaller(height, steps) {
  const below = HEIGHTS.filter((each) => each < height);
  return steps ? below.at(-steps) ?? below[0] ?? height : height;
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
  #quiet = 0;

  /**
   * Takes, each second, the share that was lost to each peer, null where it isn't known. What all
   * of them lose is lost on the uplink; what one loses alone, on its own way there. Of what has not
   * been known for long, more is tried: else a picture that pauses would never tell.
   */
  take(losses) {
    const known = losses.filter((loss) => loss !== null);
    const loss = known.length ? Math.min(...known) : null;
    this.#lossy = loss > LOSSY ? this.#lossy + 1 : 0;
    this.#quiet = loss === null ? this.#quiet + 1 : 0;
    if (this.#lossy === PATIENCE) {
      this.#lossy = 0;
      this.bits = Math.max(UPLINK_MIN, Math.round(this.bits * LESS));
    } else if (loss === null ? this.#quiet > QUIET : loss < SOUND) {
      this.bits = Math.min(UPLINK_MAX, Math.round(this.bits * MORE));
    }
  }
}

/**
 * Whether a second of all connections, [{sample, set}], tells that this machine can't keep up: for
 * want of time the browser makes a picture smaller or slower than it was `set` to, {height, rate};
 * or, of many lines, it answers for none soon, as its threads wait for their turn; or, on most of
 * those that bring pictures, much of what arrives whole is too late to be shown. A single one may
 * be its sender's fault. No sample, and no picture that is set, tell nothing.
 */
export function isOverworked(lines) {
  const known = lines.filter(({ sample }) => sample);
  if (known.some(({ sample, set }) => set && isReduced(sample.up.video, set))) return true;
  if (lines.length > NEAR && known.length && known.every(({ sample }) => sample.took > SLOW)) return true;
  const arriving = known.map(({ sample }) => sample.down).filter(({ video }) => video?.frames || video?.dropped);
  return arriving.filter(isLate).length > arriving.length / 2;
}

function isReduced(sent, set) {
  return sent?.limited === 'cpu' && (sent.height < SMALLER * set.height || sent.fps < SLOWER * set.rate);
}

function isLate({ video: { frames, dropped }, lost }) {
  return !lost && dropped >= LATE_FEWEST && dropped > LATE * (dropped + frames);
}

/** What this machine has time for, from whether it keeps up. */
export class Machine {
  spare = 0; // steps: see encodingOf

  #seconds = 0; // in a row: above 0, in which it is overworked; below, in which it isn't
  #relief = RELIEF;

  /** Takes, each second, whether it is overworked. */
  take(isBusy) {
    const before = this.#seconds;
    this.#seconds = isBusy ? Math.max(0, before) + 1 : Math.min(0, before) - 1;
    if (this.#seconds === OVERWORKED) {
      if (this.spare < SPARE_MAX) {
        this.spare++;
        this.#relief = Math.min(RELIEF_MAX, this.#relief * 2);
      }
    } else if (this.#seconds > -this.#relief) {
      return;
    } else if (this.spare) {
      this.spare--;
    } else {
      this.#relief = RELIEF;
    }
    this.#seconds = 0; // each step is given time
  }
}
