// /admin: begins a session with the one-time code, or with a token that is typed in, and follows
// the box: numbers each second, lists as they are looked at.
import { byId } from '../dom.js';
import { inFragment } from '../fragment.js';
import { locale, onLanguage, say, start, t } from '../i18n.js';
import { bans, drain, follow, Locked, login, logout, reload, session, strangers, unban } from './api.js';
import { Question, tell, warned, why } from './kick.js';
import { LogLines } from './log.js';
import { Plots } from './plots.js';
import { RoomPages } from './rooms.js';
import { showBans, showNumbers, showStrangers } from './view.js';

const LISTS_EVERY = 2; // of the events of the feed
const LONG_LISTS_EVERY = 5; // where many people are shown: half a kilobyte each
const MANY = 40;
const BANS_EVERY = 10;
const LISTS_MS = 2000; // that the first ones may take
const STALE = ['failed', 'full']; // states in which no numbers come

let latest = null; // {live, at}
let listed = { bans: [], outside: { total: 0, allocations: [] } };
let events = 0;
let isLetIn = false; // as far as is known
let end = () => {};

start();
const question = new Question();
const plots = new Plots();
const lines = new LogLines();
const pages = new RoomPages((target) => question.ask(target));
onLanguage(draw);
byId('locked-link').textContent = `${location.origin}/admin#code=…`;
byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  enter(byId('token').value.trim());
});
byId('logout').addEventListener('click', async () => {
  await logout().catch(() => {});
  lock('admin.locked.left');
});
byId('reload').addEventListener('click', () => question.ask({ kind: 'reload', request: reloaded }));
byId('drain').addEventListener('click', () => question.ask({ kind: 'drain', request: drained }));
// A new link, opened in this tab, changes nothing but the fragment.
addEventListener('hashchange', () => location.reload());
// A tab that nobody looks at asks for nothing.
document.addEventListener('visibilitychange', () => {
  if (isLetIn) watch();
});
run();

async function run() {
  const code = inFragment(location.hash, 'code');
  if (code) {
    // The code is spent at once: it must not stay in the address bar or in the history.
    history.replaceState(null, '', location.pathname);
    try {
      await login({ code });
    } catch (error) {
      return lock(...(error instanceof Locked ? ['admin.locked.used'] : why(error)));
    }
  }
  return open('admin.locked.none');
}

/** Shows the box, or says why not: for that reason, if there is no session. */
async function open(reason) {
  try {
    const { scope } = await session();
    document.body.dataset.scope = scope;
  } catch (error) {
    return lock(...(error instanceof Locked ? [reason] : why(error)));
  }
  isLetIn = true;
  byId('locked').hidden = true;
  document.body.dataset.state = 'starting';
  return watch();
}

/** Opens the page with a token. */
async function enter(token) {
  byId('token-open').disabled = true;
  say(byId('token-problem'), '');
  let problem = null;
  try {
    await login({ token });
  } catch (error) {
    problem = error;
  }
  byId('token-open').disabled = false;
  byId('token').setAttribute('aria-invalid', String(problem !== null));
  say(byId('token-problem'), ...(problem instanceof Locked ? ['admin.token.wrong'] : problem ? why(problem) : []));
  if (problem) return byId('token').focus();
  byId('token').value = '';
  return open('admin.locked.cookies');
}

// Of a tab that nobody looks at, as one that was opened behind another, this waits for somebody.
function watch() {
  end();
  if (document.hidden) return;
  end = follow({
    onlive: (live) => {
      latest = { live, at: new Date() };
      showNumbers(live);
      const every = pages.people > MANY ? LONG_LISTS_EVERY : LISTS_EVERY;
      const isDue = events % every === 0 || live.bans !== listed.bans.length;
      const asked = isDue ? list(live) : null;
      events++;
      if (!byId('live').hidden) setState('live', 'good');
      else if (asked) showOnce(asked);
    },
    onlost: ({ full }) => setState(full ? 'full' : 'failed', 'bad'),
    onlocked: () => lock('admin.locked.expired'),
  });
}

// All at once, so that nothing jumps when the lists come; but they are not waited for long.
async function showOnce(asked) {
  await Promise.race([asked, new Promise((resolve) => { setTimeout(resolve, LISTS_MS); })]);
  if (!latest) return; // locked meanwhile
  byId('live').hidden = false;
  draw();
  if (!STALE.includes(document.body.dataset.state)) setState('live', 'good');
}

/** Fetches what is listed. What fails now comes with the next event. */
async function list(live) {
  const due = events % BANS_EVERY === 0 || live.bans !== listed.bans.length;
  await Promise.allSettled([pages.refresh(), plots.refresh(), lines.refresh(live.lines), (async () => {
    listed = { bans: due ? await bans() : listed.bans, outside: await strangers() };
    drawLists();
  })()]);
}

function draw() {
  if (!latest) return;
  showNumbers(latest.live);
  drawLists();
  pages.draw();
  plots.draw();
  lines.draw();
}

function drawLists() {
  showBans(listed.bans, lift);
  showStrangers(listed.outside, (target) => question.ask(target));
}

async function lift({ name, request }) {
  try {
    const { warning, warningCode } = await unban(request);
    listed.bans = await bans();
    drawLists();
    if (warning) tell('kick.warning', 'warn', { name, message: () => warned(warningCode, warning) });
    else tell('admin.bans.lifted', 'good', { name });
  } catch (error) {
    tell('admin.bans.failed', 'bad', { name, message: () => t(...why(error)) });
  }
}

async function reloaded() {
  const { changed, needRestart, refused } = await reload();
  if (refused) return ['reload.refused', 'bad', { message: refused }];
  if (needRestart.length) return ['reload.waits', 'warn', { changed: words(changed), waits: words(needRestart) }];
  return [changed.length ? 'reload.done' : 'reload.same', 'good', { changed: words(changed) }];
}

function words(keys) {
  return keys.join(', ') || '–';
}

async function drained() {
  const { allocations } = await drain();
  return ['drain.done', 'warn', { allocations }];
}

function setState(state, mood) {
  document.body.dataset.state = state;
  const badge = byId('freshness');
  badge.hidden = false;
  badge.className = `badge ${mood}`;
  byId('live').toggleAttribute('data-stale', STALE.includes(state));
  const time = () => latest?.at.toLocaleTimeString(locale()) ?? '–';
  say(badge, `admin.${state}`, { time });
}

function lock(...reason) {
  end();
  isLetIn = false;
  document.body.dataset.state = 'locked';
  latest = null;
  events = 0; // the first one of another session brings the lists
  question.close();
  byId('live').hidden = true;
  byId('freshness').hidden = true;
  byId('locked').hidden = false;
  say(byId('locked-why'), ...reason);
}
