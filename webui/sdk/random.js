// Names that nobody else has, for calls and peer connections.

export function randomID() {
  return crypto.getRandomValues(new Uint32Array(4)).join('');
}
