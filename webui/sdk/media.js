// What is sent to the far ends: streams by name, of which each has one track of a kind. The one
// that needs no name has ''.

// What a room or a call is given to send, the same to everybody in it.
export class Source {
  sent = new Map(); // by kind and name -> {kind, name, track}

  #streams = new Map(); // by name; they group the tracks, so that the far side plays them in step

  use(stream, name = '') {
    if (!name && stream) this.#streams.set(name, stream);
    for (const track of stream?.getTracks() ?? []) this.set(track.kind, name, track);
  }

  // Returns what is sent there, which is the same object for good.
  set(kind, name, track) {
    const key = `${kind} ${name}`;
    if (!this.sent.has(key)) this.sent.set(key, { kind, name });
    return Object.assign(this.sent.get(key), { track });
  }

  // A named stream is one of the SDK's own: it has the same id when it is sent again.
  streamOf(name) {
    if (!this.#streams.has(name)) this.#streams.set(name, new MediaStream());
    return this.#streams.get(name);
  }

  // The ids of the named streams that are sent now; undefined if there has never been one.
  get names() {
    const named = [...this.sent.values()].filter(({ name }) => name);
    if (!named.length) return undefined;
    return Object.fromEntries(named.filter(({ track }) => track).map(({ name }) => [name, this.streamOf(name).id]));
  }
}

// What one peer is sent.
export class Senders {
  #connection;
  #source;
  #added;
  #senders = new Map(); // by what is sent

  // `added(sender, sent)` sets each sender up.
  constructor(connection, source, added) {
    this.#connection = connection;
    this.#source = source;
    this.#added = added;
    for (const sent of source.sent.values()) this.update(sent);
  }

  // Sends another track, or none.
  async update(sent) {
    const { name, track } = sent;
    const before = this.#senders.get(sent);
    if (before && (track || before.transport)) return before.replaceTrack(track);
    this.#senders.delete(sent);
    // Between two Firefoxes, what comes after a place that has never had a track isn't received.
    if (!track) return before && this.#connection.removeTrack(before);
    const sender = this.#connection.addTrack(track, this.#source.streamOf(name));
    try {
      this.#added(sender, sent);
      this.#senders.set(sent, sender);
    } catch (error) {
      this.#connection.removeTrack(sender); // what is to be encrypted must not go out without
      reportError(error);
    }
  }

  // What was lost while there was no path is not sent again. Without a new key frame, the far end
  // would look for it for three seconds.
  refresh() {
    for (const sender of this.#connection.getSenders()) {
      if (sender.track?.kind !== 'video') continue;
      const parameters = sender.getParameters();
      const encodingOptions = parameters.encodings.map(() => ({ keyFrame: true })); // unknown to some browsers
      sender.setParameters(parameters, { encodingOptions }).catch(() => {});
    }
  }
}
