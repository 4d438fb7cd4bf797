// What the SDK finds in browsers and at the box that serves it, for a package, which may run in
// Node and comes from no box. It stands among the SDK's modules in the package only.
import { SignalboxError } from './errors.js';

const NO_URL = 'connect needs the url of a signaling server, in Node a whole one: a package does not come from one.';

// Returns what the url of the hub may be relative to: the page, if there is one.
export function pageOf(url) {
  const page = globalThis.location?.href;
  try {
    if (url && new URL(url, page)) return page;
  } catch {
    // It is relative, and there is no page.
  }
  throw new SignalboxError('no-url', NO_URL);
}

// Node has no such function. There, an error that a listener throws ends the program, as ever.
export function reportError(error) {
  if (globalThis.reportError) globalThis.reportError(error);
  else queueMicrotask(() => { throw error; });
}

// Without media there is nothing but the account of tracks.
class Tracks {
  id = crypto.randomUUID();
  #tracks = new Set();

  getTracks() {
    return [...this.#tracks];
  }

  addTrack(track) {
    this.#tracks.add(track);
  }

  removeTrack(track) {
    this.#tracks.delete(track);
  }
}

export function MediaStream(...tracks) {
  return new (globalThis.MediaStream ?? Tracks)(...tracks);
}
