// How two ends agree on session descriptions: the "Perfect Negotiation Example" of webrtc-pc. The
// server has said who is polite.

// How long the polite end leaves it to the other one to offer.
const OFFER_MS = 1000;

export class Negotiation {
  #connection;
  #end;
  #makingOffer = false;
  #isSettingRemoteAnswerPending = false;
  #opening;
  #asking;

  // The end is asked whether it `isPolite()`. It is told to `attach()` what it sends, more than
  // once maybe, to `send(data)` to the far end, and that the negotiation has `failed(error)`.
  constructor(connection, end) {
    this.#connection = connection;
    this.#end = end;
    connection.onnegotiationneeded = () => this.#offer();
    // null, the end of candidates, is sent too.
    connection.onicecandidate = ({ candidate }) => end.send({ candidate });
    // If both ends attached at once, each join would be a collision, and the polite end's first
    // gathering, with its allocations on the relay, would be thrown away. It therefore lets the
    // other one open, but not for ever.
    if (end.isPolite()) this.#opening = setTimeout(() => this.#attach(), OFFER_MS);
    else this.#attach();
  }

  // Takes a description or, without one, a candidate of the far end's.
  async receive(description, candidate) {
    const pc = this.#connection;
    if (!description) {
      // One that doesn't fit belongs to a description that was ignored or lost.
      return pc.addIceCandidate(candidate ?? undefined).catch(() => {});
    }
    try {
      if (!this.#isWanted(description)) return;
      const offered = description.type === 'offer';
      clearTimeout(this.#asking);
      this.#attach(); // before the offer is applied, so that our tracks take the places that it opens
      this.#isSettingRemoteAnswerPending = !offered;
      await pc.setRemoteDescription(description) // rolls our own offer back if need be
        .finally(() => { this.#isSettingRemoteAnswerPending = false; });
      if (!offered) return;
      await pc.setLocalDescription();
      this.#end.send({ description: pc.localDescription });
    } catch (error) {
      this.#end.failed(error);
    }
  }

  // Looks for a new path.
  restart() {
    if (!this.#end.isPolite()) return this.#connection.restartIce();
    // Both ends notice when a path has gone. Were both to offer, the polite end would roll back,
    // after which Chromium shows no more pictures of the far end's. It therefore asks for an offer,
    // and makes one itself only if none comes.
    this.#end.send({ restart: true });
    this.#asking = setTimeout(() => this.#connection.restartIce(), OFFER_MS);
  }

  // Says again what is not answered.
  repeat() {
    const { signalingState, localDescription } = this.#connection;
    if (signalingState === 'have-local-offer') this.#end.send({ description: localDescription });
  }

  stop() {
    clearTimeout(this.#opening);
    clearTimeout(this.#asking);
  }

  // Not in a collision that this end wins, nor if it comes twice.
  #isWanted({ type }) {
    const { signalingState } = this.#connection;
    if (type !== 'offer') return signalingState === 'have-local-offer' && !this.#isSettingRemoteAnswerPending;
    if (this.#end.isPolite()) return true;
    return !this.#makingOffer && (signalingState === 'stable' || this.#isSettingRemoteAnswerPending);
  }

  #attach() {
    clearTimeout(this.#opening);
    this.#end.attach();
  }

  async #offer() {
    const pc = this.#connection;
    try {
      this.#makingOffer = true;
      await pc.setLocalDescription();
      this.#end.send({ description: pc.localDescription });
    } catch (error) {
      this.#end.failed(error);
    } finally {
      this.#makingOffer = false;
    }
  }
}
