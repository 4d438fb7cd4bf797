// What the box has seen, from its sightings to words. It says so over the session, while it happens
// (signal/PROTOCOL.md, "watch"), and only of this session.
import { bytes } from '../numbers.js';
import { bracketed } from './addresses.js';

// Reasons as the relay gives them, which are also in its log.
const REASONS = {
  'unknown user, or wrong password': 'login',
  'wrong password, or minted with another secret': 'secret',
  'the credential has expired': 'expired',
  'the credential\'s session is over': 'session',
  'no port of turn.relay_ports is free': 'ports',
  'the box drains': 'drains',
  banned: 'banned',
  'what is left of turn.relay_ports or turn.limits.allocations is guaranteed to other credentials': 'guaranteed',
  'an address of the box itself': 'box',
  'an address that nothing is relayed to': 'never',
  'denied: turn.deny_peers': 'denied',
  'not a public address: turn.allow_peers': 'private',
  'not in the room: turn.peers': 'room',
  'not allowed: turn.static_peers': 'static',
};
const LIMIT = /^limit reached: (.*)$/;
const FIXED = ['login', 'secret', 'expired', 'ports', 'limit'];
const SCARCE = [440, 486, 508];
const DONE = ['box.allocated', 'box.relayed'];

/** The sentence for why the relay refused something: {words, params, fix?}. */
export function reason(why) {
  const [, limit] = why.match(LIMIT) ?? [];
  const name = limit ? 'limit' : REASONS[why];
  if (!name) return { words: 'why.other', params: { why } };
  return { words: `why.${name}`, params: { limit }, fix: FIXED.includes(name) ? `why.${name}.fix` : undefined };
}

/** The sighting of the relay's refusal to send to one of these addresses, or undefined. */
export function refusalOf(addresses, sightings) {
  const of = addresses.map((each) => `${bracketed(each)}:`);
  return sightings?.find(({ code, peer }) => code === 403 && of.some((prefix) => peer?.startsWith(prefix)));
}

function isOverAnother({ family }, client) {
  return Boolean(family && client) && client.startsWith('[') !== (family === 6);
}

/** The sightings that are of one server's row. */
export function concerning(server, sightings) {
  const user = server.origin === 'own' ? server.username : undefined;
  const mine = sightings.filter(({ transport, kind, client, user: of }) =>
    transport === server.transport && (kind === 'challenged' || of === user) && !isOverAnother(server, client));
  const atPort = mine.filter(({ port }) => String(port) === server.port);
  return atPort.length ? atPort : mine; // something in front of the box may have led another port to it
}

/**
 * The box's half of a server's row: {arrow, lines: [{words, params}], fix?, allocated?}. The arrow
 * says where the way breaks: 'out' towards the box, 'back' from it, or '' where it does not;
 * `allocated` is the sighting of an allocation. Of STUN the box keeps no note: null. What it
 * refused is of another try, if the row `works`.
 */
export function ofBox(server, sightings, works = false) {
  if (!server.relays) return null;
  const mine = concerning(server, sightings);
  const of = (kind) => mine.filter((sighting) => sighting.kind === kind);
  const lines = [];
  const [allocated] = of('allocated');
  if (allocated) {
    lines.push({ words: 'box.allocated', params: allocated });
    const sum = (what) => of('ended').reduce((all, sighting) => all + (sighting[what] ?? 0), 0);
    const [sent, received] = [sum('fromClientBytes'), sum('toClientBytes')];
    if (sent || received) {
      lines.push({ words: 'box.relayed', params: { sent: () => bytes(sent), received: () => bytes(received) } });
    }
  }
  const refused = of('refused').findLast(({ code }) => SCARCE.includes(code) || (code === 401 && !allocated));
  if (refused && !works) {
    const { fix, ...why } = reason(refused.why);
    const words = allocated ? 'box.refused.another' : 'box.refused';
    lines.push({ words, params: { code: refused.code } }, why);
    return { arrow: '', lines, fix, params: why.params, allocated };
  }
  if (lines.length) return { arrow: '', lines, allocated };
  // A request without a credential has no family; it may be that of the other one's row.
  const isAnothers = sightings.some(({ transport, client }) =>
    transport === server.transport && isOverAnother(server, client));
  const isChallenged = of('challenged').length > 0;
  if (isChallenged && isAnothers) return null; // which of the two arrived isn't known
  if (isChallenged && server.origin === 'own') return { arrow: '', lines: [{ words: 'box.arrived' }] };
  if (isChallenged) {
    return { arrow: 'back', lines: [{ words: 'box.challenged' }], fix: 'box.challenged.fix' };
  }
  const words = `box.nothing.${server.transport}`;
  return { arrow: 'out', lines: [{ words }], fix: 'box.nothing.fix' };
}

// Where the browser alone can't tell where the way breaks. A certificate or a port that it refuses
// is its own matter, of which the box sees nothing.
const UNSURE = /^(code\.701|server\.timeout)\.(udp|tcp)$/;

/** A row's verdict, with what the box knows of its fault: its reason, and the one fix. */
export function withBox(verdict, box) {
  if (!box || verdict.verdict !== 'bad') return verdict;
  const fix = box.arrow && !UNSURE.test(verdict.words) ? verdict.fix : box.fix ?? verdict.fix;
  const isSaid = ({ words, params }) => DONE.includes(words)
    || (words.startsWith('box.refused') && verdict.words === `code.${params.code}`);
  const faults = box.lines.filter((line) => !isSaid(line));
  return { ...verdict, box: faults, fix, params: { ...verdict.params, ...box.params } };
}
