// The rooms and who is in them, a page at a time, searched and sorted by the box.
import { byId, h } from '../dom.js';
import { label, say } from '../i18n.js';
import { renewFacts, update } from '../rows.js';
import { close, kick, rooms } from './api.js';
import { bytes, number, rate } from '../numbers.js';
import { network, span } from './format.js';
import { actButton, kicked } from './kick.js';

// What the box's own pages and clients speak; the others' members are shown with theirs.
const NATIVE = 'signalbox.v1';
const LIMIT = 20; // rooms on a page
const TYPED_MS = 250;

export class RoomPages {
  #ask;
  #offset = 0;
  #asked = 0; // so many times
  #answered = 0; // which of them the page is from
  #page = null;
  #searched = ''; // for which the page is the answer
  #typed;

  /** `ask` is called with a target for a Question. */
  constructor(ask) {
    this.#ask = ask;
    byId('rooms-search').addEventListener('input', () => {
      clearTimeout(this.#typed);
      this.#typed = setTimeout(() => this.#turn(0), TYPED_MS);
    });
    byId('rooms-sort').addEventListener('change', () => this.#turn(0));
    byId('rooms-back').addEventListener('click', () => this.#turn(this.#offset - LIMIT));
    byId('rooms-on').addEventListener('click', () => this.#turn(this.#offset + LIMIT));
  }

  #turn(offset) {
    this.#offset = Math.max(0, offset);
    this.refresh().catch(() => {}); // with the next event it is tried again
  }

  async refresh() {
    const query = { search: byId('rooms-search').value.trim(), sort: byId('rooms-sort').value, offset: this.#offset,
      limit: LIMIT };
    const turn = ++this.#asked;
    const page = await rooms(query);
    if (turn < this.#answered || query.offset !== this.#offset) return; // it is of an older wish
    this.#answered = turn;
    this.#page = page;
    this.#searched = query.search;
    if (page.offset >= page.total && page.offset > 0) this.#offset = 0; // they are fewer now
    this.draw();
  }

  /** How many people are shown. */
  get people() {
    return this.#page?.rooms.reduce((count, { people }) => count + people.length, 0) ?? 0;
  }

  draw() {
    if (!this.#page) return;
    const { rooms: list, total, offset } = this.#page;
    update(byId('rooms'), list.map((room) => roomItem(room, this.#ask)), renewRoom);
    byId('rooms').hidden = list.length === 0;
    byId('rooms-empty').hidden = list.length > 0;
    say(byId('rooms-empty'), this.#searched ? 'admin.rooms.unfound' : 'admin.rooms.none');
    byId('rooms-pages').hidden = total <= LIMIT;
    byId('rooms-back').disabled = offset === 0;
    byId('rooms-on').disabled = offset + LIMIT >= total;
    say(byId('rooms-range'), 'admin.rooms.range',
      { from: number(offset + 1), to: number(offset + list.length), total: number(total) });
  }
}

function roomItem({ room, people, members, capacity, rate: relayed }, ask) {
  const target = {
    kind: 'room', name: room,
    request: async () => ['close.done', 'good', { name: room, members: (await close(room)).members }],
  };
  const count = capacity ? `${number(members)} / ${number(capacity)}` : number(members);
  return h('li', { 'data-id': room },
    h('div', { class: 'one' }, facts(h('h3', {}, room),
      h('span', { class: 'small muted numeric', t: 'admin.rooms.members', params: { count } }),
      h('span', { class: 'small muted numeric', ...relayedWords(relayed) })), actButton('close', target, ask)),
    h('ul', { class: 'members' }, ...people.map((person) => personItem(person, ask)),
      ...(people.length < members ? [h('li', { 'data-id': '…', class: 'small muted' },
        facts(h('span', { t: 'admin.rooms.more', params: { count: number(members - people.length) } })))] : [])));
}

/** What is said of a room, a person, an allocation or a ban; beside it stands its button. */
export function facts(...children) {
  return h('div', { class: 'facts' }, ...children);
}

function renewRoom(old, fresh) {
  renewFacts(old.firstElementChild, fresh.firstElementChild);
  update(old.lastElementChild, [...fresh.lastElementChild.children], renewPerson);
}

// The allocations stay folded or open, as the reader has them.
function renewPerson(old, fresh) {
  renewFacts(old, fresh);
  const [there, folded] = [old.children[1], fresh.children[1]];
  if (!folded) return; // how many more there are
  there.hidden = folded.hidden;
  const [was, is] = [there.firstElementChild, folded.firstElementChild];
  if (!was.isEqualNode(is)) was.replaceChildren(...is.childNodes); // it may have the focus
  update(there.lastElementChild, [...folded.lastElementChild.children], renewFacts);
}

function personItem(person, ask) {
  const { id, name, user, source, dialect, since, away, rate: relayed, allocations } = person;
  const address = network(source);
  const used = allocations.filter(({ fromClientBytes, toClientBytes }) => fromClientBytes + toClientBytes > 0);
  const unused = allocations.length - used.length;
  const target = {
    kind: 'member', name: name || id, keptOut: user ? `${address}, @${user}` : address,
    request: kicked(name || id, (ban, why) => kick({ peer: id, ban, why })),
  };
  return h('li', { 'data-id': id },
    facts(h('span', {}, name || id, user ? ` @${user}` : ''),
      h('span', { class: 'mono muted' }, source),
      dialect === NATIVE ? '' : h('span', { class: 'small muted' }, dialect),
      h('span', { class: 'small muted numeric' }, span(Date.now() - since)),
      h('span', { class: 'small', ...(away ? { t: 'admin.away' } : {}) }),
      h('span', { class: 'small numeric', ...relayedWords(relayed) }),
      h('span', { class: 'small muted numeric', ...(unused === allocations.length && unused > 0 ?
        { t: 'admin.allocations.idle', params: { unused: number(unused) } } : {}) })),
    h('details', { class: 'folded', hidden: used.length === 0 },
      h('summary', { class: 'small', t: unused ? 'admin.allocations.unused' : 'admin.allocations.of',
        params: { count: number(used.length), unused: number(unused) } }),
      h('ul', { class: 'members' }, ...used.map((allocation) => allocationItem(allocation, name || id, ask)))),
    actButton('kick', target, ask));
}

/** An allocation, with whose it is if that is not said around it. */
export function allocationItem(allocation, name, ask, shown = '') {
  const { id, client, transport, relay, createdAt, fromClientBytes, toClientBytes, permissions, class: kind } =
    allocation;
  const source = network(client);
  const target = {
    kind: 'allocation', name, keptOut: source,
    request: kicked(name, (ban, why) => kick(ban ? { source, ban, why } : { allocation: id })),
  };
  return h('li', { 'data-id': id, 'data-allocation': id },
    facts(shown ? h('span', {}, shown) : '',
      h('span', { class: 'mono small' }, `${client} → ${relay}`),
      h('span', { class: 'small muted' }, `${transport.toUpperCase()} · ${kind}`),
      h('span', { class: 'small muted numeric' }, span(Date.now() - createdAt)),
      h('span', { class: 'small numeric' }, `↑ ${bytes(fromClientBytes)} ↓ ${bytes(toClientBytes)}`),
      h('span', { class: 'small muted', t: 'admin.peers', params: { peers: permissions.join(' ') || '–' } })),
    actButton('end', target, ask));
}

// Less than that is what keeps a path open.
const LEAST = 250; // bytes a second

function relayedWords({ fromClient, toClient }) {
  if (fromClient + toClient < LEAST) return {};
  return { t: 'admin.relayed.of', params: { from: () => rate(fromClient), to: () => rate(toClient) } };
}
