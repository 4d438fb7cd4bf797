// Admission to a box that asks for it: a password or token, from the fragment of a link or typed
// in. It is kept for this tab only, and never in a link that is copied from here.
import { byId } from './dom.js';
import { inFragment } from './fragment.js';
import { say } from './i18n.js';

const REMEMBERED = 'signalbox.pass';
const PATIENCE_MS = 10_000;

function stored(change) {
  try {
    return change(sessionStorage) ?? '';
  } catch {
    return ''; // storage is denied: it lasts until the page is left
  }
}

/** Takes what the link brings, and shows it no longer: the address bar is often shared. */
export function takePass() {
  const linked = inFragment(location.hash, 'token');
  if (linked) history.replaceState(null, '', location.pathname + location.search);
  byId('pass').value = linked ?? stored((storage) => storage.getItem(REMEMBERED));
}

/** What to bring, if there is anything. */
export function pass() {
  return byId('pass').value.trim() || undefined;
}

/** Whether the box lets in who brings it; null: that can't be told. */
export async function isRight() {
  try {
    const headers = { Authorization: `Bearer ${pass()}` };
    const signal = AbortSignal.timeout?.(PATIENCE_MS);
    const { status } = await fetch('/api/ice', { headers, cache: 'no-store', signal });
    return status === 401 ? false : status === 200 || null;
  } catch {
    return null;
  }
}

/** The box has let us in. */
export function keepPass() {
  byId('pass-field').hidden = true;
  say(byId('pass-problem'), '');
  if (pass()) stored((storage) => storage.setItem(REMEMBERED, pass()));
}

/** The box has refused what was brought, or asks for something. */
export function askPass() {
  stored((storage) => storage.removeItem(REMEMBERED));
  byId('pass-field').hidden = false;
  byId('pass').setAttribute('aria-invalid', String(Boolean(pass())));
  byId('pass-problem').className = pass() ? 'problem' : 'small muted';
  say(byId('pass-problem'), pass() ? 'pass.wrong' : 'pass.needed');
  byId('pass').select();
}
