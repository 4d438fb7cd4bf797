// What a page of this tab hands to the next one: the room that a call by name has led to, which
// /call enters at once, since the visitor has asked for it; and under which name others call them.

const ROOM = 'signalbox.answered';
const USER = 'signalbox.user';
const MISSED = 'signalbox.missed';
const KEPT = 10; // calls that were missed

export function goTo(room) {
  store(ROOM, room);
  location.href = `/call/${room}`;
}

/** Whether the visitor has just asked for this room. It is told once. */
export function wasAskedFor(room) {
  const asked = stored(ROOM) === room;
  store(ROOM, null);
  return asked;
}

/** Under which name others can call whoever sits here; null: they can't. */
export function user() {
  return stored(USER);
}

export function setUser(name) {
  store(USER, name);
}

/** Calls that nobody has answered here, the latest first: [{user, at}], at in Unix milliseconds. */
export function missed() {
  try {
    return JSON.parse(stored(MISSED)) ?? [];
  } catch {
    return [];
  }
}

export function miss(name) {
  store(MISSED, JSON.stringify([{ user: name, at: Date.now() }, ...missed()].slice(0, KEPT)));
}

export function forgetMissed() {
  store(MISSED, null);
}

// Storage may be denied to a page: then the next one knows nothing.
function stored(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // See above.
  }
}
