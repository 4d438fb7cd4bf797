// One status of the box as tables. Each is built anew: nothing here is edited, focused or long.
import { byId, h } from '../dom.js';
import { bytes, number, rate, span } from './format.js';

/** Shows an answer, {status, at}; `before` is the one before it, or null. */
export function show(latest, before) {
  const { status } = latest;
  figures(status, before ? rate(relayedBetween(before, latest)) : '–');
  const people = namesOf(status.signal);
  fill('allocations', status.turn.allocations.map((allocation) => allocationRow(allocation, people)));
  fill('rooms', status.signal.rooms.map(roomItem));
  fill('refused', [
    ...counts('drop', status.turn.drops), ...counts('turn', status.turn.refusals), ...counts('signal', status.signal.refusals),
  ]);
}

function fill(id, children) {
  const element = byId(id);
  (element.tBodies?.[0] ?? element).replaceChildren(...children);
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
    ['admin.uptime', span(Date.now() - status.startedAt), 'words'],
    ['admin.address', status.publicIP?.length ? status.publicIP.join(', ') : '–', 'words'],
  ];
  byId('figures').replaceChildren(...entries.map(([key, value, style = '']) =>
    h('li', {}, h('span', { class: 'small muted', t: key }), h('span', { class: `figure ${style}` }, value))));
}

// An allocation that has gone takes its bytes along, so only those that are in both snapshots are compared.
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

function allocationRow(allocation, people) {
  const { user, class: kind, client, transport, relay, createdAt, permissions } = allocation;
  return h('tr', { 'data-id': allocation.id },
    h('td', {}, people(user) ?? user, h('span', { class: 'cell-more' }, kind)),
    h('td', { class: 'mono' }, client, h('span', { class: 'cell-more' }, transport.toUpperCase())),
    h('td', { class: 'mono' }, relay),
    h('td', { class: 'number' }, span(Date.now() - createdAt)),
    h('td', { class: 'number' }, bytes(allocation.fromClientBytes), h('span', { class: 'cell-more' }, number(allocation.fromClientPackets))),
    h('td', { class: 'number' }, bytes(allocation.toClientBytes), h('span', { class: 'cell-more' }, number(allocation.toClientPackets))),
    h('td', { class: 'mono peers' }, permissions?.length ? permissions.join(' ') : '–'),
    h('td', { class: 'number' }, number(allocation.channels)));
}

function roomItem({ room, members }) {
  return h('li', {}, h('h3', {}, room), h('ul', { class: 'members' }, ...members.map(({ id, name, user, source, since }) =>
    h('li', {}, h('span', {}, name || id, user ? ` @${user}` : ''), h('span', { class: 'mono muted' }, source),
      h('span', { class: 'small muted numeric' }, span(Date.now() - since))))));
}

function counts(kind, table = {}) {
  return Object.entries(table).filter(([, count]) => count > 0).map(([name, count]) =>
    h('div', {}, h('dt', {}, h('span', { class: 'muted small', t: `admin.kind.${kind}` }), ' ', name), h('dd', { class: 'numeric' }, number(count))));
}
