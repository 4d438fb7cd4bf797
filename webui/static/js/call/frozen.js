// Whether the visitor's camera gives nothing that could be sent: it has hung, or the browser can
// show its format and not send it. Only the others would notice.
import { SLOW } from './policy.js';

const SECONDS = 10; // in a row: a camera takes a while to begin

export class Frozen {
  is = false;

  #camera = null;
  #seconds = 0;

  /**
   * Takes, each second, the camera; what is new of each connection on which its picture is wanted;
   * and whether it is a wonder if none comes. It looks at what the camera gives, and not at what of
   * it is sent: nothing may be for want of an uplink.
   */
  take(camera, samples, isExpected) {
    const isAnother = camera !== this.#camera;
    this.#camera = camera;
    if (isAnother || samples.some(({ up }) => up.captured)) this.is = false;
    if (isAnother || !isExpected || !samples.every(saysNone)) this.#seconds = 0;
    else if (samples.length && ++this.#seconds === SECONDS) this.is = true;
  }
}

// A machine that has no time says nothing of its camera.
function saysNone({ path, took, up }) {
  return path && took <= SLOW && up.captured === 0;
}
