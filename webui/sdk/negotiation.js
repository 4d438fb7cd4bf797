// How two ends agree on session descriptions. One of them leads: it makes every offer. That is the
// end that has begun the connection, or of the first one, the impolite one (the server has said
// which). The other one asks for what it needs. So nothing is ever rolled back: after a rollback,
// Chromium shows and hears no more of the far end.
import { Timers } from './timers.js';

// How long the end that does not lead waits for one who has not said a word: that may be a client
// which only answers.
const SILENCE_MS = 8000;
// An offer without an answer, and a question without an offer, are said again after so long, and so
// many times.
const REPEAT_MS = 10_000;
const REPEATS = 3;
// Candidates are found in bursts.
const CANDIDATES_MS = 50;
const EARLY = 64; // candidates that may come before their description
// What the far end may ask for, of each kind.
const PLACES = 16;

export class Negotiation {
  isLed = false; // the far end makes all offers, each of another connection, and takes none

  #connection;
  #end;
  #steps = Promise.resolve(); // one after the other
  #offers = 0; // the number of the last one, whoever made it
  #restarts = 0; // the number of the last one that restarts ICE
  #restartDue = false;
  #due = false; // another offer, once the last one is answered, and there is a path
  #hasPath = false; // or had one
  #asked = ''; // for what, last
  #question = null; // until it is answered by an offer
  #candidates = []; // since the last description of this end
  #sent = 0; // so many of them
  #early = []; // the far end's, that fit no description yet
  #timers = new Timers();

  // The end says whether it `leads` and has a data channel (`hasChannel`), and what it knows of the
  // far end: that it `isReachable`, `isSilent`, or `isForeign` and knows no `want`. It is told to
  // `send(data)` to the far end, that the negotiation has `failed(error)`, and of offers that
  // `yield(description, offer)`: of the far end's that this connection can't take, since it has
  // made one, too. It is told of transceivers that are `added()`, and to `rebuild()` the
  // connection.
  constructor(connection, end) {
    this.#connection = connection;
    this.#end = end;
    connection.onnegotiationneeded = () => this.#need();
    connection.onicecandidate = ({ candidate }) => this.#found(candidate);
    this.#timers.later('open', SILENCE_MS, () => end.isSilent && this.#step(() => this.#offer()));
  }

  // Takes a description. `offer` is the number of the offer that it is, or answers.
  describe(description, offer) {
    this.#step(() => (
      description.type === 'offer' ? this.#offered(description, offer) : this.#answered(description, offer)));
  }

  // Takes candidates. One that doesn't fit may belong to a description that is still to come, since
  // the hub had refused it: it is tried once more after the next one.
  take(candidates) {
    this.#step(async () => {
      for (const candidate of candidates) {
        await this.#add(candidate).catch(() => {
          if (this.#early.push(candidate) > EARLY) this.#early.shift();
        });
      }
    });
  }

  #add(candidate) {
    return this.#connection.addIceCandidate(candidate ?? undefined);
  }

  async #setRemote(description) {
    await this.#connection.setRemoteDescription(description);
    for (const candidate of this.#early.splice(0)) await this.#add(candidate).catch(() => {});
  }

  // The far end asks for an offer, with so many places of each kind. `after` is the last one that
  // it has taken.
  asked({ after = 0, restart, ...places }) {
    this.#step(() => {
      for (const kind of ['audio', 'video']) {
        for (let n = this.#places(true)[kind] ?? 0; n < Math.min(places[kind], PLACES); n++) {
          this.#connection.addTransceiver(kind, { direction: 'recvonly' });
        }
      }
      this.#end.added();
      if (restart && after >= this.#restarts) this.restart(true);
      else if (after >= this.#offers) return this.#offer();
    });
  }

  // Looks for a new path. What has never had one is replaced: that takes no answer first. Who is
  // `asked` to, asks nobody.
  restart(asked) {
    if (!this.#offers) return; // it has not begun to look
    if (this.isLed) return this.#connection.connectionState === 'failed' && this.#end.rebuild();
    if (!this.#hasPath && !this.#end.isForeign) return this.#end.rebuild();
    if (this.#asks && !asked) return this.#ask({ restart: true });
    if (this.#restarts === this.#offers && this.#connection.signalingState !== 'stable') return; // it does
    this.#restartDue = true;
    this.#connection.restartIce();
    this.#step(() => this.#offer());
  }

  // There is a path: what was to be offered meanwhile, is.
  connected() {
    this.#hasPath = true;
    if (this.#due) this.#step(() => this.#offer());
  }

  // Says again what is not answered.
  repeat() {
    const { signalingState, localDescription } = this.#connection;
    if (signalingState === 'have-local-offer') this.#end.send({ description: localDescription, offer: this.#offers });
    else if (this.#question) this.#end.send({ want: this.#question });
  }

  // The far end has begun anew, without what it was told or asked for.
  forget() {
    this.#asked = '';
    this.repeat();
    this.#sendCandidates(0);
  }

  stop() {
    this.#timers.clearAll();
    this.#end = null;
  }

  // Whatever the far end has said, what fails for it is the connection with it.
  #step(take) {
    this.#steps = this.#steps.then(() => this.#end && take()).catch((error) => this.#end?.failed(error));
  }

  get #asks() {
    return !this.#end.leads && !this.#end.isForeign;
  }

  #need() {
    if (!this.#asks) return this.#step(() => this.#offer());
    // What an offer has not brought, another one will not bring either.
    if (this.#wants() !== this.#asked) this.#ask();
  }

  // The kind and direction of each place for a track; of `all`, or without those that were given up
  // before they were agreed upon: the far end's offers have none for them.
  #transceivers(all = this.#end.leads) {
    return this.#connection.getTransceivers()
      .filter(({ mid, direction }) => all || mid || direction[0] === 's')
      .map(({ receiver, direction }) => [receiver.track.kind, direction]);
  }

  // How many there are, by kind.
  #places(all) {
    const places = {};
    for (const [kind] of this.#transceivers(all)) places[kind] = (places[kind] ?? 0) + 1;
    return places;
  }

  // What this end needs of an offer.
  #wants() {
    return JSON.stringify([this.#end.hasChannel, this.#transceivers()]);
  }

  #ask(more) {
    this.#asked = this.#wants();
    const want = this.#question = { after: this.#offers, ...more, ...this.#places() };
    this.repeat();
    this.#expect(() => this.#question === want && this.#asks);
  }

  // Says again what is not answered while it `stands`.
  #expect(stands, again = REPEATS) {
    this.#timers.later('answer', REPEAT_MS, () => {
      if (!stands()) return;
      const { isReachable } = this.#end;
      if (!again && isReachable) return this.#end.failed(new Error('no answer'));
      if (isReachable) this.repeat();
      this.#expect(stands, isReachable ? again - 1 : again);
    });
  }

  async #offer() {
    const pc = this.#connection;
    // While an offer waits for its answer, Firefox makes nothing of candidates: the second offer
    // waits until there is a path.
    const waits = pc.remoteDescription && !this.#hasPath && !this.#restartDue;
    this.#due = waits || pc.signalingState !== 'stable';
    if (this.#due) return;
    // The far end would not take it, or it could never be added to.
    if (this.isLed || !this.#end.hasChannel && !pc.getTransceivers().length) return;
    await pc.setLocalDescription();
    this.#offers++;
    if (this.#restartDue) this.#restarts = this.#offers;
    this.#restartDue = false;
    this.#say(pc.localDescription);
    this.#expect(() => pc.signalingState === 'have-local-offer');
  }

  async #offered(description, offer = this.#offers + 1) {
    const pc = this.#connection;
    if (offer < this.#offers) return;
    const collides = pc.signalingState === 'have-local-offer' && (this.#end.leads || !this.#end.isForeign);
    if (collides) return this.#end.yield(description, offer);
    // An offer that comes twice gets its answer twice; one that has collided comes too late.
    if (offer > this.#offers || pc.signalingState !== 'stable') {
      this.#offers = offer;
      await this.#setRemote(description);
      await pc.setLocalDescription();
    } else if (pc.localDescription?.type !== 'answer') return;
    if (offer > this.#question?.after) this.#question = null;
    if (this.#wants() !== this.#asked) this.#asked = ''; // what was asked for first may be needed again
    this.#say(pc.localDescription);
  }

  async #answered(description, offer = this.#offers) {
    if (offer !== this.#offers || this.#connection.signalingState !== 'have-local-offer') return;
    await this.#setRemote(description);
    if (this.#due) await this.#offer();
  }

  // Says a description, which has the candidates that were found until now.
  #say(description) {
    this.#candidates = [];
    this.#sent = 0;
    this.#end.send({ description, offer: this.#offers });
  }

  // null, the end of candidates, is sent too.
  #found(candidate) {
    if (this.#candidates.push(candidate) > this.#sent + 1) return;
    this.#timers.later('candidates', CANDIDATES_MS, () => this.#sendCandidates());
  }

  #sendCandidates(from = this.#sent) {
    const candidates = this.#candidates.slice(from);
    this.#sent = this.#candidates.length;
    if (candidates.length) this.#end.send({ candidates });
  }
}
