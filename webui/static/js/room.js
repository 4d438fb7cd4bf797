// The names of rooms, as the hub takes them (signalbox.v1).

const LONGEST = 128; // code points

// Control characters, half a character, and what breaks a line or turns the direction of the text
// after it: with those, one name is displayed as another.
const FORBIDDEN = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

/**
 * Whether a room can have this name and a link can lead there: dots alone are a step in a path,
 * however they are written.
 */
export function isRoomName(name) {
  return name !== '' && name !== '.' && name !== '..' && [...name].length <= LONGEST && !FORBIDDEN.test(name);
}

/** The room that a path, /call/{room}, leads to; null if no room can have that name. */
export function roomOf(pathname) {
  try {
    const name = decodeURIComponent(pathname.split('/')[2] ?? '');
    return isRoomName(name) ? name : null;
  } catch {
    return null; // the escapes are no UTF-8
  }
}
