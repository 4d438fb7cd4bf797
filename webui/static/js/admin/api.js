// The admin API. Who is in is kept in a cookie that scripts can't read.

const PATIENCE_MS = 10_000;
const SILENCE_MS = 3500; // the feed has an event a second
const AGAIN_MS = 2000;

/** A refusal, with the API's code for it. */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The token or code is not, or no longer, good. */
export class Locked extends Error {}

/** Begins a session with the {code} of a one-time link, or with a {token}. */
export async function login(by) {
  if (by.token && !/^[\x21-\x7e]+$/.test(by.token)) throw new Locked(); // no request could carry it
  return ask('login', by);
}

export const logout = () => ask('logout', {});

/** Whose session it is, as {name, scope}. */
export const session = () => ask('session');

/** A page of rooms and who is in them: {total, offset, rooms}. */
export const rooms = (query) => ask(`rooms?${new URLSearchParams(query)}`);

/** A page of the allocations of nobody in a room: {total, offset, allocations}. */
export const strangers = () => ask('allocations?outside=true&limit=100');

/** The last hour, or what of it is later than `after`, as {every, points}. */
export const history = (after) => ask(`history?after=${after}`);

/** The last lines of the log that warn or refuse, or those after the number `after`. */
export const log = async (after) => (await ask(`log?after=${after}`)).lines;

/** The bans in force, as [{user | peer | token | source, until, for, why, by}]. */
export const bans = async () => (await ask('bans')).bans;

/**
 * Ends sessions and allocations: of one {allocation}, {peer}, {user} or {source}; `ban`, such as
 * "1h", keeps them out, and `why` is for the list of bans.
 */
export const kick = (whom) => ask('kick', whom);

/** Lifts the bans of one {user}, {peer}, {token} or {source}. */
export const unban = (whom) => ask('unban', whom);

export const close = (room) => ask('close', { room });
export const reload = () => ask('reload', {});
export const drain = () => ask('drain', {});

async function ask(what, body) {
  const response = await request(what, body);
  return response.status === 204 ? undefined : await response.json().catch(() => null) ?? {};
}

/** What the box answers with, or throws why it refuses. */
async function request(what, body) {
  const response = await fetch(`/api/admin/${what}`, {
    method: body ? 'POST' : 'GET',
    headers: body ? { 'Content-Type': 'application/json', 'X-Signalbox-Admin': '1' } : {},
    body: body && JSON.stringify(body),
    cache: 'no-store',
    signal: AbortSignal.timeout?.(PATIENCE_MS),
  });
  if (response.status === 401) throw new Locked();
  if (response.ok) return response;
  const { code, message } = await response.json().catch(() => null) ?? {};
  throw new Refused(code ?? 'other', message ?? `HTTP ${response.status}`);
}

/**
 * Follows the box: calls `onlive` with its numbers once a second, `onlost` when they stop coming,
 * and when it is known that there are too many pages to send them to this one, too, with
 * `{full: true}`; and `onlocked` once the box doesn't take the session any more. Returns a function
 * that ends it.
 */
export function follow({ onlive, onlost, onlocked }) {
  let source;
  let silence;
  let again;
  let over = false;
  let full = false;
  let isLost = false;
  const stop = () => {
    clearTimeout(silence);
    clearTimeout(again);
    source?.close();
  };
  const expect = () => {
    clearTimeout(silence);
    silence = setTimeout(lost, SILENCE_MS);
  };
  const open = () => {
    const mine = source = new EventSource('/api/admin/events');
    source.onmessage = ({ data }) => {
      full = isLost = false;
      expect();
      onlive(JSON.parse(data));
    };
    source.onerror = () => {
      if (mine === source && source.readyState === EventSource.CLOSED) lost();
    };
    expect();
  };
  const lost = async () => {
    stop();
    isLost = true;
    onlost({ full });
    again = setTimeout(open, AGAIN_MS);
    const why = await refusal();
    if (over) return;
    if (why instanceof Locked) return onlocked();
    // If it was let in, the source may be, too; and that may be so already.
    if (why && isLost && full !== (full = why.code === 'too-many-pages')) onlost({ full });
  };
  open();
  return () => {
    over = true;
    stop();
  };
}

// A source doesn't tell why it is lost, so the feed is asked for once more.
async function refusal() {
  try {
    const { body } = await request('events');
    await body.cancel();
    return null;
  } catch (error) {
    return error;
  }
}
