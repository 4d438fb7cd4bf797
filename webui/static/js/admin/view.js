// One status of the box as figures and tables.
import { byId, h } from '../dom.js';
import { locale, say } from '../i18n.js';
import { bytes, network, number, rate, span } from './format.js';
import { renewAllButLast, update } from './rows.js';
import { showBars } from './bars.js';
import { showServer } from './server.js';

// What the box's own pages and clients speak; the others' members are shown with theirs.
const NATIVE = 'signalbox.v1';

/**
 * Shows an answer, {status, bans, at}; `before` is the one before it, or null. `onkick` is called
 * with a target for a KickDialog, `onlift` with whose ban to lift, {name, request}.
 */
export function show(latest, before, { onkick, onlift }) {
  const { status, bans } = latest;
  const rates = ratesBetween(before, latest);
  figures(status, before ? rate(sumOf(rates.values())) : '–');
  const people = namesOf(status.signal);
  const { busy, idle } = sorted(status.turn.allocations);
  fill('allocations', busy.map((allocation) => allocationRow(allocation, rates, people, onkick)), renewAllButLast);
  byId('allocations-idle').hidden = idle === 0;
  say(byId('allocations-idle'), 'admin.allocations.idle', { idle });
  showBars(status);
  showServer(status);
  fill('rooms', status.signal.rooms.map((room) => roomItem(room, ofPeople(status, rates), onkick)), renewRoom);
  fill('bans', bans.map((ban) => banItem(ban, onlift)), renewAllButLast);
  fill(
    'refused',
    [
      ...counts('drop', status.turn.drops),
      ...counts('turn', status.turn.refusals),
      ...counts('signal', status.signal.refusals),
    ],
    (old, fresh) => old.replaceChildren(...fresh.children),
  );
}

function fill(id, children, renew) {
  const element = byId(id);
  update(element.tBodies?.[0] ?? element, children, renew);
  element.hidden = children.length === 0;
  byId(`${id}-empty`).hidden = children.length > 0;
}

function figures(status, relayed) {
  const { turn, signal } = status;
  const entries = [
    ['admin.sessions', number(signal.sessions)],
    ['admin.rooms', number(signal.rooms.length)],
    ['admin.allocations', number(turn.allocations.length)],
    ['admin.relayed', relayed],
    ['admin.month', bytes(turn.transfer.bytes), '', { month: monthName(turn.transfer.month) }],
    ['admin.uptime', span(Date.now() - status.startedAt), 'words'],
    ['admin.address', status.publicIP?.length ? status.publicIP.join(', ') : '–', 'words'],
  ];
  byId('figures').replaceChildren(...entries.map(([key, value, style = '', params = {}]) =>
    h('li', {}, h('span', { class: 'small muted', t: key, params }), h('span', { class: `figure ${style}` }, value))));
}

/** The name of a month that is given as "2006-01". */
function monthName(month) {
  return new Date(`${month}-01T00:00:00Z`).toLocaleDateString(locale(), { month: 'short', timeZone: 'UTC' });
}

// What allocations carry each way, in bytes a second, by id: of those that are in both snapshots.
function ratesBetween(before, latest) {
  const earlier = new Map(before?.status.turn.allocations.map((allocation) => [allocation.id, allocation]));
  const seconds = (latest.at - before?.at) / 1000;
  return new Map(latest.status.turn.allocations.filter(({ id }) => earlier.has(id)).map((allocation) => {
    const { fromClientBytes, toClientBytes } = earlier.get(allocation.id);
    return [allocation.id, {
      from: (allocation.fromClientBytes - fromClientBytes) / seconds,
      to: (allocation.toClientBytes - toClientBytes) / seconds,
    }];
  }));
}

function sumOf(rates) {
  return [...rates].reduce((sum, { from, to }) => sum + from + to, 0);
}

/** What is relayed for each session, by its peer id. */
function ofPeople({ turn }, rates) {
  const people = new Map();
  for (const { id, user } of turn.allocations) {
    const { from, to } = rates.get(id) ?? { from: 0, to: 0 };
    const sum = people.get(peerOf(user)) ?? { from: 0, to: 0 };
    people.set(peerOf(user), { from: sum.from + from, to: sum.to + to });
  }
  return people;
}

function peerOf(user) {
  return user.slice(user.indexOf(':') + 1);
}

// Browsers make allocations in case they need them: those that carry nothing are counted only. The
// others come with the most first.
function sorted(allocations) {
  const sum = ({ fromClientBytes, toClientBytes }) => fromClientBytes + toClientBytes;
  const busy = allocations.filter((allocation) => sum(allocation) > 0).sort((a, b) => sum(b) - sum(a));
  return { busy, idle: allocations.length - busy.length };
}

/** Who is behind the user name of a credential: "<expiry>:<peer id>". */
function namesOf(signal) {
  const names = new Map();
  for (const { room, members } of signal.rooms) {
    for (const { id, name } of members) names.set(id, `${name || id} · ${room}`);
  }
  return (user) => names.get(peerOf(user));
}

function allocationRow(allocation, rates, people, onkick) {
  const { id, user, class: kind, client, transport, relay, createdAt, permissions } = allocation;
  const name = people(user) ?? user;
  const source = network(client);
  const target = {
    kind: 'allocation', name, keptOut: source, request: (ban) => (ban ? { source, ban } : { allocation: id }),
  };
  return h(
    'tr',
    { 'data-id': id },
    h('td', { class: 'who' }, name, h('span', { class: 'cell-more' }, kind)),
    h('td', { class: 'mono' }, client, h('span', { class: 'cell-more' }, transport.toUpperCase())),
    h('td', { class: 'mono' }, relay),
    h('td', { class: 'number' }, span(Date.now() - createdAt)),
    h(
      'td',
      { class: 'number' },
      bytes(allocation.fromClientBytes),
      h('span', { class: 'cell-more' }, rate(rates.get(id)?.from ?? 0)),
    ),
    h(
      'td',
      { class: 'number' },
      bytes(allocation.toClientBytes),
      h('span', { class: 'cell-more' }, rate(rates.get(id)?.to ?? 0)),
    ),
    h('td', { class: 'mono peers' }, permissions?.length ? permissions.join(' ') : '–'),
    h('td', { class: 'number' }, number(allocation.channels)),
    h('td', { class: 'action' }, kickButton(target, onkick)),
  );
}

function kickButton(target, onkick) {
  return h(
    'button',
    { class: 'button compact', type: 'button', 'aria-haspopup': 'dialog', on: { click: () => onkick(target) } },
    h('span', { t: 'kick' }),
    h('span', { class: 'visually-hidden' }, target.name),
  );
}

function roomItem({ room, members }, people, onkick) {
  return h('li', { 'data-id': room }, h('h3', {}, room),
    h('ul', { class: 'members' }, ...members.map((member) => memberItem(member, people.get(member.id), onkick))));
}

function renewRoom(old, fresh) {
  update(old.lastElementChild, [...fresh.lastElementChild.children], renewAllButLast);
}

function memberItem({ id, name, user, source, dialect, since }, relayed, onkick) {
  const address = network(source);
  const target = {
    kind: 'member',
    name: name || id,
    keptOut: user ? `${address}, @${user}` : address,
    request: (ban) => ({ peer: id, ban }),
  };
  return h(
    'li',
    { 'data-id': id },
    h('span', {}, name || id, user ? ` @${user}` : ''),
    h('span', { class: 'mono muted' }, source),
    dialect === NATIVE ? '' : h('span', { class: 'small muted' }, dialect),
    h('span', { class: 'small muted numeric' }, span(Date.now() - since)),
    h('span', { class: 'small numeric', ...relayedWords(relayed) }),
    kickButton(target, onkick),
  );
}

// Less than that is what keeps a path open.
const LEAST = 250; // bytes a second

function relayedWords(relayed) {
  if (!relayed || relayed.from + relayed.to < LEAST) return {};
  return { t: 'admin.relayed.of', params: { from: () => rate(relayed.from), to: () => rate(relayed.to) } };
}

function banItem({ user, peer, token, source, until }, onlift) {
  const [kind, whom] = Object.entries({ user, peer, token, source }).find(([, value]) => value);
  const left = span(new Date(until) - Date.now());
  const target = { name: kind === 'user' ? `@${whom}` : whom, request: { [kind]: whom } };
  return h(
    'li',
    { 'data-id': `${kind}:${whom}` },
    h('span', kind === 'user' ? {} : { class: 'mono' }, target.name),
    h('span', { class: 'small muted numeric', t: 'admin.bans.left', params: { left } }),
    h(
      'button',
      { class: 'button compact', type: 'button', on: { click: () => onlift(target) } },
      h('span', { t: 'admin.bans.lift' }),
      h('span', { class: 'visually-hidden' }, target.name),
    ),
  );
}

function counts(kind, table = {}) {
  return Object.entries(table)
    .filter(([, count]) => count > 0)
    .map(([name, count]) =>
      h(
        'div',
        { 'data-id': `${kind} ${name}` },
        h('dt', {}, h('span', { class: 'muted small', t: `admin.kind.${kind}` }), ' ', name),
        h('dd', { class: 'numeric' }, number(count)),
      ),
    );
}
