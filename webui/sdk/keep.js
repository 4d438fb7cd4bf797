// Keeps a session's token while its page reloads: in the tab's sessionStorage, which the browser
// may deny to the page.
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
