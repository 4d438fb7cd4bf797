// What a relay must refuse. It is tried like all else, and green is "refused".
import { probe } from './probe.js';
import { refusedLoop } from './relay.js';

// Where clouds keep the keys of their machines. No relay has any business there.
const METADATA = '169.254.169.254';
const SOME_PORT = 40_404; // browsers take no candidates with a lower one than 1024

/**
 * Tries the box's best relay with a wrong password and with a peer that is never relayed to. `user`
 * is a user name for it, whose logins the box tells this session of. Resolves to [{name, judge}];
 * `judge` takes the box's sightings, or null, and gives a verdict.
 */
export async function tryRefusals(server, user) {
  const [login, peer] = await Promise.all([
    probe({ ...server, username: user, credential: crypto.getRandomValues(new Uint32Array(4)).join('') }),
    refusedLoop(server, METADATA, SOME_PORT),
  ]);
  return [
    { name: 'login', judge: (sightings) => ofLogin(login, user, sightings ?? []) },
    { name: 'peer', judge: (sightings) => ofPeer(peer, sightings ?? []) },
  ];
}

export function ofLogin({ outcome, errors }, user, sightings) {
  if (outcome === 'relay') return { verdict: 'bad', words: 'refusal.login.open', fix: 'refusal.login.open.fix' };
  const seen = sightings.some((sighting) => sighting.user === user && sighting.code === 401);
  if (seen || errors.some(({ code }) => code === 401)) return { verdict: 'good', words: 'refusal.login.good' };
  return { verdict: 'unknown', words: 'refusal.login.unknown' };
}

export function ofPeer({ refused }, sightings) {
  const params = { address: METADATA };
  const seen = sightings.find(({ code, peer }) => code === 403 && peer?.startsWith(`${METADATA}:`));
  if (seen || refused) return { verdict: 'good', words: 'refusal.peer.good', params };
  return { verdict: 'unknown', words: 'refusal.peer.unknown', params };
}
