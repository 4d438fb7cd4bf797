// What the browser's statistics say of a connection, every two seconds.

const WATCH_MS = 2000;

export class Watch {
  #connection;
  #told;
  #timer = null;
  #received = 0; // bytes of media
  #flowing = false;

  // Tells of the `stats`, and that media has `stalled`.
  constructor(connection, told) {
    this.#connection = connection;
    this.#told = told;
  }

  get isOn() {
    return this.#timer !== null;
  }

  start() {
    this.#timer = setInterval(() => this.#look(), WATCH_MS);
    this.#look();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  async #look() {
    const stats = await this.#connection.getStats().catch(() => null); // it may have been closed meanwhile
    if (!stats || !this.isOn) return;
    if (this.#hasStalled(stats)) this.#told.stalled();
    this.#told.stats(stats);
  }

  // ICE takes its time to notice that a path is dead; media that came and now comes no more says it
  // earlier. An end that has stopped sending looks the same: that costs a look for a path, and only
  // one.
  #hasStalled(stats) {
    let received = 0;
    for (const { type, bytesReceived = 0 } of stats.values()) received += type === 'inbound-rtp' ? bytesReceived : 0;
    const flowed = this.#flowing;
    this.#flowing = received !== this.#received;
    this.#received = received;
    return flowed && !this.#flowing
      && this.#connection.getReceivers().some(({ track }) => track.readyState === 'live' && !track.muted);
  }
}
