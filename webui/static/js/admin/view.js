// One status of the box as figures and tables.
import { byId, h } from '../dom.js';
import { locale } from '../i18n.js';
import { bytes, network, number, rate, span } from './format.js';
import { renewAllButLast, update } from './rows.js';
import { showServer } from './server.js';

// What the box's own pages and clients speak; the others' members are shown with theirs.
const NATIVE = 'signalbox.v1';

/**
 * Shows an answer, {status, bans, at}; `before` is the one before it, or null. `onkick` is called
 * with a target for a KickDialog, `onlift` with whose ban to lift, {name, request}.
 */
export function show(latest, before, { onkick, onlift }) {
  const { status, bans } = latest;
  figures(status, before ? rate(relayedBetween(before, latest)) : '–');
  const people = namesOf(status.signal);
  fill(
    'allocations',
    status.turn.allocations.map((allocation) => allocationRow(allocation, people, onkick)),
    renewAllButLast,
  );
  showServer(status);
  fill('rooms', status.signal.rooms.map((room) => roomItem(room, onkick)), renewRoom);
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

// An allocation that has gone takes its bytes along, so only those that are in both snapshots are
// compared.
function relayedBetween(before, latest) {
  const total = ({ fromClientBytes, toClientBytes }) => fromClientBytes + toClientBytes;
  const earlier = new Map(before.status.turn.allocations.map((allocation) => [allocation.id, total(allocation)]));
  let sum = 0;
  for (const allocation of latest.status.turn.allocations) {
    if (earlier.has(allocation.id)) sum += total(allocation) - earlier.get(allocation.id);
  }
  return sum / ((latest.at - before.at) / 1000);
}

/** Who is behind the user name of a credential: "<expiry>:<peer id>". */
function namesOf(signal) {
  const names = new Map();
  for (const { room, members } of signal.rooms) {
    for (const { id, name } of members) names.set(id, `${name || id} · ${room}`);
  }
  return (user) => names.get(user.slice(user.indexOf(':') + 1));
}

function allocationRow(allocation, people, onkick) {
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
      h('span', { class: 'cell-more' }, number(allocation.fromClientPackets)),
    ),
    h(
      'td',
      { class: 'number' },
      bytes(allocation.toClientBytes),
      h('span', { class: 'cell-more' }, number(allocation.toClientPackets)),
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

function roomItem({ room, members }, onkick) {
  return h('li', { 'data-id': room }, h('h3', {}, room),
    h('ul', { class: 'members' }, ...members.map((member) => memberItem(member, onkick))));
}

function renewRoom(old, fresh) {
  update(old.lastElementChild, [...fresh.lastElementChild.children], renewAllButLast);
}

function memberItem({ id, name, user, source, dialect, since }, onkick) {
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
    kickButton(target, onkick),
  );
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
