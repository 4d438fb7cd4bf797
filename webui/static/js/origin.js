// What the page knows of where it was loaded from.

function fact(name) {
  return document.querySelector(`meta[name="signalbox-${name}"]`)?.content ?? '';
}

export const version = fact('version');

/** Whether the box asks for a password or a token. */
export const asks = fact('asks') !== '';

/**
 * Where this page has a secure context, or null if it has one already or the box has no TLS port.
 */
export function secureURL() {
  const port = Number(fact('https-port'));
  if (isSecureContext || !port) return null;
  const url = new URL(location.href);
  url.protocol = 'https:';
  url.port = String(port);
  return url.href;
}

const THIS_MACHINE = /^(localhost|.*\.localhost|127\..*|\[::1\])$/;

/**
 * The link to this page for others: the secure one, and not by a name that leads everybody to their
 * own machine, if the box has another one.
 */
export function sharedURL() {
  const here = secureURL() ?? location.href;
  const isHere = THIS_MACHINE.test(location.hostname);
  return new URL(location.pathname, isHere && fact('origin') || here).href;
}

/** Whether a link leads other machines here. */
export function isShared(url) {
  return !THIS_MACHINE.test(new URL(url).hostname);
}
