// Whether the visitor's camera gives nothing that could be sent: it has hung, the system keeps it,
// or the browser can show its format and not send it. Only the others would notice.
import { SLOW } from './policy.js';

const SECONDS = 10; // of samples that say so, and none that says otherwise: a camera takes a while to begin

export class Frozen {
  is = false;

  #camera = null;
  #seconds = 0;
  #unwanted = 0; // seconds in a row

  /**
   * Takes, each second, the camera; of each connection its new sample, if there is one, and whether
   * its picture is wanted there; and whether somebody looks at the tab. It looks at what the camera
   * gives, and not at what of it is sent: nothing may be for want of an uplink.
   */
  take(camera, lines, isWatched) {
    const samples = lines.flatMap(({ sample }) => sample ?? []);
    const wanted = lines.filter(({ isWanted }) => isWanted);
    this.#unwanted = wanted.length ? 0 : this.#unwanted + 1;
    if (camera !== this.#camera || samples.some(({ up }) => up.captured) || this.#unwanted >= SECONDS) {
      this.#camera = camera;
      this.is = false;
      this.#seconds = 0;
    } else if (!isWatched || !wanted.length || samples.some(({ took }) => took > SLOW)) {
      this.#seconds = 0; // a machine that has no time says nothing of its camera
    } else if (wanted.some(({ sample }) => sample?.path && sample.up.captured === 0)) {
      this.#seconds++;
      if (this.#seconds >= SECONDS) this.is = true;
    }
  }
}
