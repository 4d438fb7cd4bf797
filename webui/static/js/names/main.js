// Calls by name on the start page, loaded once somebody wants them.
import { connect } from '/signalbox.js';
import { forgetMissed, goTo, miss, missed, setUser } from '../answered.js';
import { byId, h } from '../dom.js';
import { known, locale, onLanguage, say, t } from '../i18n.js';
import { askPass, keepPass, pass } from '../pass.js';
import { Bell } from './bell.js';
import { Names } from './names.js';

const bell = new Bell();
let session = null;
let names = null;

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
    changed: show,
    hidden: (code) => say(byId('names-none'), code === 'room-full' ? 'names.full' : 'names.hidden'),
    ended,
    answered: goTo,
  });
  session.on('state', ({ state, error }) => state === 'closed' && error?.code !== 'closed' && lost(error));
  say(byId('names-none'), 'names.none');
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
  const user = byId('callee').value.trim().replace(/^@/, '');
  if (user) ring(user);
  else byId('callee').focus();
});
byId('names-notify').addEventListener('click', async () => {
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
  const key = `names.ended.${code}`;
  say(byId('names-said'), known(key) ? key : 'names.ended.other', { user, code });
  if (code === 'missed') bell.missed(user);
  show();
}

// The dialog says who rings, or is rung; what lies under it, who is there.
function show() {
  if (!names) return;
  const { call, people } = names;
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
  byId('names-list').replaceChildren(...people.map(({ user }) => person(user)));
  byId('names-none').hidden = people.length > 0;
  byId('names-notify').hidden = !globalThis.Notification || Notification.permission !== 'default';
  byId('missed').hidden = !missed().length;
  byId('missed-list').replaceChildren(...missed().map(({ user, at }) => person(user, at)));
}

function person(user, at) {
  const time = at && new Date(at).toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });
  return h('li', { class: 'row spread' }, h('span', {}, h('bdi', {}, user), time && ` · ${time}`),
    h('button', { class: 'button compact', type: 'button', t: 'names.call', 'aria-label': t('names.call.who', { user }),
      on: { click: () => ring(user) } }));
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

function lost(error) {
  leave();
  refused(error);
}

function refused(error) {
  if (error.code === 'unauthorized') return askPass();
  const key = error.code === 'user-taken' ? 'names.taken' : `end.${error.code}`;
  say(byId('user-problem'), known(key) ? key : 'end.other', { code: error.code ?? error.name });
}
