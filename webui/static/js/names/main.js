// Calls by name on the start page, loaded once somebody wants them.
import { connect } from '/signalbox.js';
import { forgetMissed, goTo, miss, missed, setUser } from '../answered.js';
import { byId, h } from '../dom.js';
import { tellHealth } from '../health.js';
import { known, label, locale, onLanguage, say, t } from '../i18n.js';
import { askPass, keepPass, pass } from '../pass.js';
import { renewAllButLast, update } from '../rows.js';
import { NAME_MAX, visible } from '../text.js';
import { Bell } from './bell.js';
import { Names } from './names.js';

const PEOPLE_MS = 200; // in which many may come and go, and are shown at once
const AWAY = ['lost', 'offline', 'timeout']; // codes of an SDK whose box is away

const bell = new Bell();
let session = null;
let names = null;
let peopled; // a timer

/** Lets others call the visitor under that name, or says why they can't. */
export async function goOnline(user) {
  bell.prepare();
  say(byId('user-problem'), '');
  byId('user-go').disabled = true;
  try {
    session = await connect({ name: user, user, token: pass });
  } catch (error) {
    refused(error);
    return;
  } finally {
    byId('user-go').disabled = false;
  }
  keepPass();
  setUser(session.user);
  names = new Names(session, {
    peopled: () => { peopled ??= setTimeout(showPeople, PEOPLE_MS); },
    rung: show,
    ended,
    answered: goTo,
  });
  session.on('state', follow);
  byId('names-user').textContent = session.user;
  showView();
  names.look();
  show();
}

byId('names-off').addEventListener('click', () => {
  setUser(null);
  leave();
  byId('user').focus();
});
byId('callee-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const user = visible(byId('callee').value).replace(/^@/, '');
  const count = [...user].length;
  const problem = !count ? 'names.callee.empty' : count > NAME_MAX ? 'call.name.long' :
    user === session.user ? 'names.callee.own' : '';
  byId('callee').setAttribute('aria-invalid', String(Boolean(problem)));
  say(byId('callee-problem'), problem, { count });
  if (problem) byId('callee').focus();
  else ring(user);
});
byId('names-notify').firstElementChild.addEventListener('click', async () => {
  await Notification.requestPermission();
  show();
});
byId('missed-clear').addEventListener('click', () => {
  forgetMissed();
  show();
});
byId('ringing-answer').addEventListener('click', () => names?.answer());
byId('ringing-decline').addEventListener('click', () => names?.end());
byId('ringing').addEventListener('cancel', (event) => event.preventDefault()); // a key must not end a call
onLanguage(() => names && show());

function ring(user) {
  say(byId('names-said'), '');
  names.ring(user);
}

function ended({ user, code }) {
  if (code === 'missed') miss(user);
  const key = `names.ended.${AWAY.includes(code) ? 'away' : code}`;
  if (known(key)) say(byId('names-said'), key, { user });
  else say(byId('names-said'), 'names.ended.other', { user, why: () => t(...whyOf(code)) });
  if (code === 'missed') bell.missed(user);
  show();
}

// The dialog says who rings, or is rung; what lies under it, who is there.
function show() {
  if (!names) return;
  const { call } = names;
  const dialog = byId('ringing');
  if (call) {
    say(byId('ringing-who'), call.isOwn ? 'names.calling' : 'names.rings', { user: call.name });
    say(byId('ringing-decline'), call.isOwn ? 'cancel' : 'names.decline');
    byId('ringing-answer').hidden = call.isOwn;
    byId('ringing-answer').disabled = call.isAnswered;
    if (!dialog.open) {
      dialog.showModal();
      (call.isOwn ? byId('ringing-decline') : byId('ringing-answer')).focus();
    }
    if (call.isAnswered) byId('ringing-decline').focus(); // the button that was pressed answers no more
  } else if (dialog.open) {
    dialog.close();
  }
  bell.ring(call && !call.isOwn && !call.isAnswered ? call.name : null);
  const away = session.state !== 'open'; // then nobody can be called, nor is known to be there
  byId('callee-go').disabled = byId('names-there').hidden = away;
  showPeople();
  byId('names-notify').hidden = !globalThis.Notification || Notification.permission !== 'default';
  byId('missed').hidden = !missed().length;
  update(byId('missed-list'), missed().map(({ user, at }) => person(user, at)), renewAllButLast);
}

function showPeople() {
  clearTimeout(peopled);
  peopled = undefined;
  if (!names) return;
  const { people, hidden } = names;
  update(byId('names-list'), people.map(({ user }) => person(user)), renewAllButLast);
  byId('names-none').hidden = people.length > 0;
  say(byId('names-none'), hidden ? (hidden === 'room-full' ? 'names.full' : 'names.hidden') : 'names.none');
}

function person(user, at) {
  const time = at && new Date(at).toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });
  const click = () => ring(user);
  const button = h('button', { class: 'button compact', type: 'button', t: 'names.call', on: { click } });
  return h('li', { class: 'row person', 'data-id': `${user} ${at ?? ''}` },
    h('span', {}, h('bdi', {}, user), time && ` · ${time}`), label(button, 'names.call.who', { user }));
}

function showView() {
  byId('names-on').hidden = !names;
  byId('names-form').hidden = Boolean(names);
}

function leave() {
  names?.close();
  session?.close();
  session = names = null;
  bell.ring(null);
  if (byId('ringing').open) byId('ringing').close();
  showView();
}

// The box may be away for a while; some ends are final.
function follow({ state, error }) {
  if (state === 'closed') {
    if (error?.code === 'closed') return; // by this page
    leave();
    refused(error);
    return;
  }
  const wasAway = byId('names-there').hidden;
  if (state !== 'open' || wasAway) say(byId('names-said'), state === 'open' ? '' : 'status.reconnecting');
  tellHealth();
  show();
}

function refused(error) {
  if (error.code === 'unauthorized') return askPass();
  if (error.code === 'user-taken') say(byId('user-problem'), 'names.taken');
  else say(byId('user-problem'), ...whyOf(error.code ?? error.name));
}

function whyOf(code) {
  return known(`end.${code}`) ? [`end.${code}`] : ['end.other', { code }];
}
