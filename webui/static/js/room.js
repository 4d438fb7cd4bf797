// The names of rooms, as the hub takes them (signalbox.v1), and the links to them.
import { visible } from './text.js';

export const ROOM_MAX = 128; // code points

// Control characters, half a character, and what breaks a line or turns the direction of the text
// after it: with those, one name is displayed as another.
const FORBIDDEN = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

// What applications leave at the ends of a link that they copy, and nobody sees.
const UNSEEN_ENDS = /^[\u00ad\u200b-\u200f\u2060\ufeff]+|[\u00ad\u200b-\u200f\u2060\ufeff]+$/g;

/**
 * Whether a room can have this name and a link can lead there: dots alone are a step in a path,
 * however they are written.
 */
export function isRoomName(name) {
  return name !== '' && name !== '.' && name !== '..' && [...name].length <= ROOM_MAX && !FORBIDDEN.test(name);
}

/**
 * The room that a path, /call/{room}, leads to, whose name may have a slash, escaped or not; null
 * if no room can have that name. The hub tells apart whatever differs by a byte, so that the same
 * letters must be written in one way (NFC).
 */
export function roomOf(pathname) {
  try {
    const written = pathname.split('/').slice(2).join('/').replace(/\/$/, '');
    const name = decodeURIComponent(written).normalize('NFC').replace(UNSEEN_ENDS, '');
    return isRoomName(name) ? name : null;
  } catch {
    return null; // the escapes are no UTF-8
  }
}

/**
 * Where the text leads that somebody has typed or pasted: {href}, or a {problem} (a key, and its
 * parameters) with it. A link to a room leads there, on this box or on another; anything else is
 * the name of a room of this box, with its case as typed. `here` is this page's location.
 */
export function wayTo(text, here) {
  const link = linkIn(text.trim().replace(UNSEEN_ENDS, ''), here);
  if (link) return link;
  const name = visible(text.normalize('NFC'));
  if (isRoomName(name)) return { href: `/call/${encodeURIComponent(name)}` };
  if (!name) return { problem: 'home.room.empty' };
  const count = [...name].length;
  return count > ROOM_MAX ? { problem: 'home.room.long', params: { count } } : { problem: 'home.room.invalid' };
}

function linkIn(text, here) {
  const url = urlOf(text.startsWith(`${here.host}/`) ? `${here.protocol}//${text}` : text, here);
  if (!url || !/^\/call\/./.test(url.pathname)) return null;
  const room = roomOf(url.pathname);
  if (room === null) return { problem: 'home.room.link' };
  const rest = url.search + url.hash; // how to call, and a token
  return { href: `${url.host === here.host ? '' : url.origin}/call/${encodeURIComponent(room)}${rest}` };
}

// Without a scheme, only a path of a call is a link.
function urlOf(text, { origin }) {
  if (!/^(https?:\/\/|\/call\/)/i.test(text)) return null;
  try {
    return new URL(text, origin);
  } catch {
    return null;
  }
}
