// The admin API, and the token for it: kept for this tab only.

const REMEMBERED = 'signalbox.admin';

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
  const response = await fetch('/api/admin/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ code }),
  });
  if (response.status === 401) throw new Locked();
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  remember((await response.json()).token);
}

export function hasToken() {
  return token !== null;
}

export async function status() {
  const response = await fetch('/api/admin/status', {
    headers: { Authorization: `Bearer ${token}` },
    cache: 'no-store',
    signal: AbortSignal.timeout(10_000),
  });
  if (response.status === 401) {
    remember(null);
    throw new Locked();
  }
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}
