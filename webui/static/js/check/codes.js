// Error codes of STUN and TURN (RFC 8489 §14.8, RFC 8656 §19) and of the browser (701), in words.
// The language files explain them as code.<number> and code.<number>.fix.

const KNOWN = [400, 401, 403, 437, 438, 440, 441, 442, 486, 500, 508];

/** Keys of the sentence and of the fix for an error code. `page` is the page's location. */
export function explain(code, server, page) {
  const name = code === 701 ? unreached(server, page) : KNOWN.includes(code) ? String(code) : 'other';
  return { words: `code.${name}`, fix: `code.${name}.fix` };
}

// A browser says 701 for whatever keeps it from a server. If the page itself came in by the same
// port, then it isn't the port.
function unreached({ transport, host, port }, page) {
  const cameIn = page.protocol === 'https:' && page.hostname === host && (page.port || '443') === port;
  return transport === 'tls' && cameIn ? '701.untrusted' : `701.${transport}`;
}

/**
 * The error that tells most of what went wrong. 701 says only that one interface got no answer, and
 * is reported for every address that can't reach the server, so an answer of the server counts for
 * more.
 */
export function decisive(errors) {
  return errors.find(({ code }) => code !== 701) ?? errors[0] ?? null;
}
