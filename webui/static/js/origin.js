// What the page knows of where it was loaded from.

function fact(name) {
  return document.querySelector(`meta[name="signalbox-${name}"]`)?.content ?? '';
}

export const version = fact('version');

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
