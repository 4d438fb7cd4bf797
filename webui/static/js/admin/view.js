// The numbers of the feed, and the short lists beside them.
import { byId, h } from '../dom.js';
import { known, locale, say, t } from '../i18n.js';
import { renewAll, renewChildren, renewFacts, update } from '../rows.js';
import { showBars } from './bars.js';
import { bytes, number, rate } from '../numbers.js';
import { span } from './format.js';
import { allocationItem, facts } from './rooms.js';
import { showServer } from './server.js';

const MINUTE_MS = 60_000;
const refusals = []; // of the last minute, as [{at, counts}], the oldest first

/** Shows an event of the feed. */
export function showNumbers(live) {
  showTroubles(live);
  figures(live);
  showBars(live);
  showServer(live.status);
  showRefusals(live);
}

function fill(id, children, renew) {
  const element = byId(id);
  update(element, children, renew);
  element.hidden = children.length === 0;
  byId(`${id}-empty`).hidden = children.length > 0;
}

function figures({ at, status, rooms, members, allocations, rate: { fromClient, toClient } }) {
  const { turn, signal } = status;
  const entries = [
    ['admin.sessions', number(signal.sessions)],
    ['admin.rooms', number(rooms), '', {}, { key: 'admin.rooms.members', params: { count: number(members) } }],
    ['admin.allocations', number(allocations)],
    ['admin.relayed', rate(fromClient + toClient)],
    ['admin.month', bytes(turn.transfer.bytes), '', { month: monthName(turn.transfer.month) }],
    ['admin.uptime', span(at - status.startedAt)],
    ['admin.address', status.publicIP?.length ? status.publicIP.join(', ') : '–', 'words'],
  ];
  renewAll(byId('figures'), entries.map(([key, value, style = '', params = {}, more]) =>
    h('li', {}, h('span', { class: 'small muted', t: key, params }), h('span', { class: `figure ${style}` }, value),
      more ? h('span', { class: 'small muted numeric', t: more.key, params: more.params }) : '')));
  byId('draining').hidden = status.ready;
}

// What the self-test has found, and what keeps the box from telling its operator of it.
function showTroubles({ troubles, status: { notices } }) {
  const idOf = (code, index) => `${code} ${troubles.slice(0, index).filter((each) => each.code === code).length}`;
  const rows = troubles.map(({ code, detail, since, what, fix }, index) => h('li', { 'data-id': idOf(code, index) },
    h('b', {}, ...withCode(what[locale()])), h('span', {}, ...withCode(fix[locale()])),
    h('span', { class: 'small muted' }, h('span', { class: 'mono' }, `[${code}] ${detail}`), ' · ',
      h('span', { t: 'admin.troubles.since', params: { since: () => moment(since) } }))));
  if (notices.problem) {
    rows.push(h('li', { 'data-id': 'notices' }, h('b', { t: 'admin.troubles.notices' }),
      h('span', { class: 'small muted mono' }, notices.problem)));
  }
  byId('troubles-card').hidden = rows.length === 0;
  update(byId('troubles'), rows, renewChildren);
}

// In the words of the box, what is typed or read stands between backticks.
function withCode(text) {
  return text.split('`').map((part, n) => (n % 2 ? h('code', {}, part) : part));
}

/** The name of a month that is given as "2006-01". */
function monthName(month) {
  return new Date(`${month}-01T00:00:00Z`).toLocaleDateString(locale(), { month: 'short', timeZone: 'UTC' });
}

/** Shows the allocations that belong to nobody in a room. */
export function showStrangers({ total, allocations }, ask) {
  byId('strangers-card').hidden = total === 0;
  update(byId('strangers'), allocations.map((allocation) =>
    allocationItem(allocation, allocation.user, ask, allocation.user)), renewFacts);
  byId('strangers-more').hidden = total === allocations.length;
  say(byId('strangers-more'), 'admin.rooms.more', { count: number(total - allocations.length) });
}

/** Shows the bans; `onlift` is called with whose to lift, {name, request}. */
export function showBans(bans, onlift) {
  const together = new Map(); // what was made with one kick is lifted together
  for (const ban of bans) {
    const id = ban.for || Object.entries(whomOf(ban))[0].join(':');
    together.set(id, [...together.get(id) ?? [], ban]);
  }
  fill('bans', [...together].map(([id, kept]) => banItem(id, kept, onlift)), renewFacts);
}

function whomOf({ user, token, source, peer }) {
  return Object.fromEntries(Object.entries({ user, token, source, peer }).filter(([, value]) => value));
}

function banItem(id, bans, onlift) {
  const [{ until, why, by }] = bans;
  const whom = Object.assign({}, ...bans.map(whomOf));
  if (Object.keys(whom).length > 1) delete whom.peer; // the others are what people know of it
  const name = Object.entries(whom).map(([kind, each]) => (kind === 'user' ? `@${each}` : each.replace(/\/32$/, '')))
    .join(', ');
  const [kind, value] = id.split(/:(.*)/s);
  const left = span(new Date(until) - Date.now());
  return h('li', { 'data-id': id },
    facts(h('span', whom.user ? {} : { class: 'mono' }, name),
      h('span', { class: 'small muted numeric', t: 'admin.bans.left', params: { left, end: moment(until) } }),
      h('span', { class: 'small muted', ...(by ? { t: 'admin.bans.by', params: { by } } : {}) }),
      h('span', { class: 'small why' }, why ?? '')),
    h('button', { class: 'button compact acts', type: 'button',
      on: { click: () => onlift({ name, request: { [kind]: value } }) } },
    h('span', { t: 'admin.bans.lift' }), h('span', { class: 'visually-hidden' }, name)));
}

function moment(at) {
  return new Date(at).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'short' });
}

// What was dropped and refused, in words, with how much of it there was within the last minute.
function showRefusals({ at, status: { turn, signal, web, admin, logLinesLost } }) {
  const counts = new Map([...entries('drop', turn.drops), ...entries('turn', turn.refusals),
    ...entries('signal', signal.refusals), ...entries('web', { refused: web.refused }), ...entries('admin', admin),
    ...entries('log', { lost: logLinesLost })]);
  refusals.push({ at, counts });
  while (refusals[0].at < at - MINUTE_MS || refusals[0].at > at) refusals.shift();
  const before = refusals[0].counts;
  const rows = [...counts].map(([id, count]) => ({ id, count, recent: Math.max(0, count - (before.get(id) ?? 0)) }))
    .sort((a, b) => b.recent - a.recent || b.count - a.count);
  fill('refused', rows.map(refusedItem), renewChildren);
}

function entries(kind, table = {}) {
  return Object.entries(table).filter(([, count]) => count > 0).map(([name, count]) => [`${kind} ${name}`, count]);
}

function refusedItem({ id, count, recent }) {
  const [kind, name] = id.split(' ');
  const key = `refused.${kind}.${name}`;
  const words = known(key) ? t(key) : name;
  return h('div', { 'data-id': id },
    h('dt', {}, h('span', { class: 'muted small', t: `admin.kind.${kind}` }), ' ', words,
      known(key) ? h('span', { class: 'muted small mono' }, ` ${name}`) : ''),
    h('dd', { class: 'numeric' }, number(count),
      recent ? h('span', { class: 'small recent', t: 'admin.recent', params: { count: number(recent) } }) : ''));
}
