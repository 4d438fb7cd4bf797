// What a link brings behind its #, which no server gets to see.

/** The value of that name, or null. A + is one: it stands for a space in forms only. */
export function inFragment(hash, name) {
  return new URLSearchParams(hash.slice(1).replaceAll('+', '%2B')).get(name);
}
