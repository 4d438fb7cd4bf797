// Names that nobody else has, for calls and peer connections.

export function randomID() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join('');
}
