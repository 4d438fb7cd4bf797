// What is sent to the far ends: tracks, one of each kind.

// What a room or a call is given to send, the same to everybody in it.
export class Source {
  stream; // groups the tracks, so that the far side plays them in step

  #tracks = {}; // by kind

  use(stream) {
    this.stream = stream ?? new MediaStream();
    for (const track of this.stream.getTracks()) this.replace(track.kind, track);
  }

  get tracks() {
    return Object.values(this.#tracks).filter(Boolean);
  }

  replace(kind, track) {
    this.#tracks[kind] = track;
  }
}

// What one peer is sent.
export class Senders {
  #connection;
  #stream = null; // until there is something to negotiate
  #byKind = {};

  constructor(connection) {
    this.#connection = connection;
  }

  attach({ stream, tracks }) {
    this.#stream = stream;
    for (const track of tracks) this.set(track.kind, track);
  }

  async set(kind, track) {
    const sender = this.#byKind[kind];
    if (sender) await sender.replaceTrack(track);
    else if (track && this.#stream) this.#byKind[kind] = this.#connection.addTrack(track, this.#stream);
  }

  // What was lost while there was no path is not sent again. Without a new key frame, the far end
  // would look for it for three seconds.
  refresh() {
    for (const sender of this.#connection.getSenders()) {
      if (sender.track?.kind !== 'video') continue;
      const parameters = sender.getParameters();
      // Where a browser doesn't know of it, it is ignored.
      const encodingOptions = parameters.encodings.map(() => ({ keyFrame: true }));
      sender.setParameters(parameters, { encodingOptions }).catch(() => {});
    }
  }
}
