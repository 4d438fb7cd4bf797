// /admin: trades the one-time code for a token, then shows the box's status every two seconds.
import { byId } from '../dom.js';
import { onLanguage, say, start } from '../i18n.js';
import { hasToken, Locked, login, status } from './api.js';
import { show } from './view.js';

const EVERY_MS = 2000;

// The last two answers, {status, at}: what is relayed now is the difference.
let before = null;
let latest = null;

start();
onLanguage(() => {
  if (latest) show(latest, before);
});
byId('locked-link').textContent = `${location.origin}/admin#code=…`;
// A new link, opened in this tab, changes nothing but the fragment.
addEventListener('hashchange', () => location.reload());
run();

async function run() {
  const code = new URLSearchParams(location.hash.slice(1)).get('code');
  if (code) {
    // The code is spent at once: it must not stay in the address bar or in the history.
    history.replaceState(null, '', location.pathname);
    try {
      await login(code);
    } catch (error) {
      if (error instanceof Locked) return lock('admin.locked.used');
      return lock('admin.locked.failed');
    }
  }
  if (!hasToken()) return lock('admin.locked.none');
  for (;;) {
    const locked = await refresh();
    if (locked) return lock('admin.locked.expired');
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    await visible();
  }
}

async function refresh() {
  try {
    const fresh = { status: await status(), at: performance.now() };
    before = latest;
    latest = fresh;
    show(latest, before);
    byId('live').hidden = false;
    setState('live', 'good');
  } catch (error) {
    if (error instanceof Locked) return true;
    setState('failed', 'bad');
  }
  return false;
}

/** A tab that nobody looks at asks for nothing. */
function visible() {
  if (!document.hidden) return undefined;
  return new Promise((resolve) => {
    document.addEventListener('visibilitychange', resolve, { once: true });
  });
}

function setState(state, mood) {
  document.body.dataset.state = state;
  const badge = byId('freshness');
  badge.hidden = false;
  badge.className = `badge ${mood}`;
  say(badge, `admin.${state}`);
}

function lock(why) {
  document.body.dataset.state = 'locked';
  byId('live').hidden = true;
  byId('freshness').hidden = true;
  byId('locked').hidden = false;
  say(byId('locked-why'), why);
}
