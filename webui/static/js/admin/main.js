// /admin: trades the one-time code, or a token that is typed in, for the box's status, and shows
// that every two seconds.
import { byId } from '../dom.js';
import { inFragment } from '../fragment.js';
import { locale, onLanguage, say, start, t } from '../i18n.js';
import { bans, hasToken, Locked, login, status, unban, unlock } from './api.js';
import { KickDialog, tell } from './kick.js';
import { show } from './view.js';

const EVERY_MS = 2000;

// The last two answers, {status, bans, at}: what is relayed now is the difference.
let before = null;
let latest = null;

start();
const dialog = new KickDialog();
onLanguage(draw);
byId('locked-link').textContent = `${location.origin}/admin#code=…`;
byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  enter(byId('token').value.trim());
});
// A new link, opened in this tab, changes nothing but the fragment.
addEventListener('hashchange', () => location.reload());
run();

async function run() {
  const code = inFragment(location.hash, 'code');
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
  return watch();
}

/** Opens the page with a token. */
async function enter(token) {
  byId('token-open').disabled = true;
  say(byId('token-problem'), '');
  let problem = '';
  try {
    await unlock(token);
  } catch (error) {
    problem = error instanceof Locked ? 'admin.token.wrong' : 'admin.token.failed';
  }
  byId('token-open').disabled = false;
  byId('token').setAttribute('aria-invalid', String(problem !== ''));
  say(byId('token-problem'), problem);
  if (problem) return byId('token').focus();
  byId('token').value = '';
  byId('locked').hidden = true;
  return watch();
}

async function watch() {
  while (await refresh()) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    await visible();
  }
  lock('admin.locked.expired');
}

/** Shows a fresh status. Resolves to false once the box doesn't take the token any more. */
async function refresh() {
  try {
    const [now, out] = await Promise.all([status(), bans()]);
    const fresh = { status: now, bans: out, at: performance.now(), time: new Date() };
    before = latest;
    latest = fresh;
    draw();
    byId('live').hidden = false;
    setState('live', 'good');
  } catch (error) {
    if (error instanceof Locked) return false;
    setState('failed', 'bad');
  }
  return true;
}

function draw() {
  if (latest) show(latest, before, { onkick: (target) => dialog.ask(target), onlift: lift });
}

async function lift({ name, request }) {
  try {
    await unban(request);
    await refresh();
  } catch (error) {
    const message = error instanceof Locked ? () => t('admin.locked.expired') : error.message;
    tell('admin.bans.failed', 'bad', { name, message });
  }
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
  byId('live').toggleAttribute('data-stale', state === 'failed');
  const time = () => latest?.time.toLocaleTimeString(locale()) ?? '–';
  say(badge, `admin.${state}`, { time });
}

function lock(why) {
  document.body.dataset.state = 'locked';
  before = latest = null;
  dialog.close();
  byId('live').hidden = true;
  byId('freshness').hidden = true;
  byId('locked').hidden = false;
  say(byId('locked-why'), why);
}
