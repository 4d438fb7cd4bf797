// Keeps a session's token while its page reloads: in the tab's sessionStorage, which the browser
// may deny to the page. A tab that is duplicated has a copy of that. So tokens are there only while
// no page is shown; a page takes what it finds before anybody could duplicate it.
import { PROTOCOL } from './carriers.js';

const PREFIX = `${PROTOCOL} `;
const tokens = watchTokens(); // by the hub's URL

export function keepToken(url, token) {
  if (token) tokens.set(PREFIX + url, token);
}

// Returns the token and forgets it, so that no other session of this page has it.
export function takeToken(url) {
  const token = tokens.get(PREFIX + url);
  tokens.delete(PREFIX + url);
  return token;
}

// The page is about to go.
export function storeTokens() {
  inStorage((storage) => tokens.forEach((token, key) => storage.setItem(key, token)));
}

function watchTokens() {
  const found = new Map();
  const take = () => inStorage((storage) => {
    for (const key of Object.keys(storage).filter((name) => name.startsWith(PREFIX))) {
      found.set(key, storage.getItem(key));
      storage.removeItem(key);
    }
  });
  take();
  globalThis.addEventListener?.('pageshow', take);
  globalThis.addEventListener?.('pagehide', storeTokens);
  return found;
}

// What can't be stored is lost: this peer comes back under another id.
function inStorage(change) {
  try {
    change(sessionStorage);
  } catch {
    // The browser denies it.
  }
}
