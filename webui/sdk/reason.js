// Why a hub can't be reached, as far as browsers let a page know.

// Resolves to the code of an error, in that time. A hub answers an empty POST with 400, and 403 to
// a page of an origin that it does not allow.
export async function reasonOf(url, ms) {
  const signal = AbortSignal.timeout?.(ms); // what is never answered would hold a connection
  let blocked = false;
  const listener = ({ effectiveDirective }) => { blocked ||= effectiveDirective === 'connect-src'; };
  const ask = (mode) => fetch(`${url}/send`, { method: 'POST', mode, signal }).then(({ status }) => status, () => null);
  globalThis.document?.addEventListener('securitypolicyviolation', listener);
  // What no page of another origin may read is no hub's answer.
  const status = await ask('cors') ?? await ask('no-cors');
  await new Promise((resolve) => setTimeout(resolve)); // the event comes after the failure
  globalThis.document?.removeEventListener('securitypolicyviolation', listener);
  if (blocked) return 'csp-refused';
  if (status === 403) return 'origin-refused';
  return status === null || status === 400 || status >= 429 ? 'unreachable' : 'no-hub';
}
