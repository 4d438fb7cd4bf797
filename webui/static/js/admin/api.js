// The admin API, and the token for it: kept for this tab only.

const REMEMBERED = 'signalbox.admin';
const PATIENCE_MS = 10_000;

let token = remembered();

function remembered() {
  try {
    return sessionStorage.getItem(REMEMBERED);
  } catch {
    return null; // storage is denied: the token lasts until the page is left
  }
}

function remember(value) {
  token = value;
  try {
    if (value === null) sessionStorage.removeItem(REMEMBERED);
    else sessionStorage.setItem(REMEMBERED, value);
  } catch {
    // As above.
  }
}

/** A refusal: the token or code is not, or no longer, good. */
export class Locked extends Error {}

/** Trades the one-time code of the link for a token. */
export async function login(code) {
  remember((await ask('login', { body: { code } })).token);
}

/** Keeps a token that was typed in, if it is the right one. */
export async function unlock(text) {
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Locked(); // no request could carry it
  await ask('status', { bearer: text });
  remember(text);
}

export function hasToken() {
  return token !== null;
}

export function status() {
  return authorized('status');
}

/**
 * Ends sessions and allocations: of one {allocation}, {peer}, {user} or {source}; `ban`, such as
 * "1h", keeps them out.
 */
export function kick(whom) {
  return authorized('kick', whom);
}

/** The bans in force, as [{user | peer | token | source, until, for}]. */
export async function bans() {
  return (await authorized('bans')).bans;
}

/** Lifts the bans of one {user}, {peer}, {token} or {source}. */
export function unban(whom) {
  return authorized('unban', whom);
}

async function authorized(what, body) {
  try {
    return await ask(what, { bearer: token, body });
  } catch (error) {
    if (error instanceof Locked) remember(null);
    throw error;
  }
}

async function ask(what, { bearer, body }) {
  const headers = {};
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (body) headers['Content-Type'] = 'application/json';
  const response = await fetch(`/api/admin/${what}`, {
    method: body ? 'POST' : 'GET',
    headers,
    body: body && JSON.stringify(body),
    cache: 'no-store',
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (response.status === 401) throw new Locked();
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.message ?? `HTTP ${response.status}`);
  return answer;
}
