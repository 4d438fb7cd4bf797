// Error codes of STUN and TURN (RFC 8489 §14.8, RFC 8656 §19) and of the browser (701), in words.
// The language files explain them as code.<number> and code.<number>.fix.

const KNOWN = [400, 401, 403, 437, 438, 440, 441, 442, 486, 500, 508];

/** Keys of the sentence and of the fix for an error code. */
export function explain(code, server) {
  if (code === 701) return { words: `code.701.${server.transport}`, fix: `code.701.${server.transport}.fix` };
  if (KNOWN.includes(code)) return { words: `code.${code}`, fix: `code.${code}.fix` };
  return { words: 'code.other', fix: 'code.other.fix' };
}

/**
 * The error that tells most of what went wrong. 701 says only that one interface got no answer, and
 * is reported for every address that can't reach the server, so an answer of the server counts for
 * more.
 */
export function decisive(errors) {
  return errors.find(({ code }) => code !== 701) ?? errors[0] ?? null;
}
