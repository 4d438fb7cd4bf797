// Where a session's token lies while its page is loaded anew: in the tab's sessionStorage, which
// the page may have been denied.
import { PROTOCOL } from './carriers.js';

const keyOf = (url) => `${PROTOCOL} ${url}`;

export function keepToken(url, token) {
  try {
    if (token) sessionStorage.setItem(keyOf(url), token);
  } catch {
    // Then this peer comes back under another id.
  }
}

// Returns the token and forgets it, so that it isn't in another tab's copy.
export function takeToken(url) {
  try {
    const token = sessionStorage.getItem(keyOf(url));
    sessionStorage.removeItem(keyOf(url));
    return token ?? undefined;
  } catch {
    return undefined;
  }
}
