// ICE servers as single URLs, and the visitor's own list, which is remembered without its
// credentials.
import { family } from './addresses.js';

const REMEMBERED = 'signalbox.servers';
const URL_FORM = /^(stuns?|turns?):(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?(\?transport=(udp|tcp))?$/i;

/**
 * Takes an RTCIceServer array apart: each URL is tested by itself, and if its host is a name, over
 * IPv4 and IPv6 apart.
 */
export function flatten(iceServers, origin) {
  return iceServers.flatMap(({ urls, username, credential }) => [urls].flat().flatMap((url) => {
    const server = { url, username, credential, origin, ...describe(url) };
    return family(server.host) ? [server] : [{ ...server, family: 4 }, { ...server, family: 6 }];
  }));
}

/**
 * Whether a server was asked over its family: `met` are those that the browser has told of. It may
 * leave one out on its own, even if both are there (Chromium keeps one relay of each interface).
 */
export function isAsked({ family: apart }, met) {
  return !apart || met.includes(apart) || (apart === 4 && !met.includes(6));
}

/** The URL, and the family, if it is not that of an address in it. */
export function titleOf({ url, family: apart }) {
  return apart ? `${url} (IPv${apart})` : url;
}

/**
 * What a URL says: whether it relays, the transport between the browser and the server, the host as
 * a location has it, and the port.
 */
export function describe(url) {
  const scheme = url.split(':', 1)[0].toLowerCase();
  const secure = scheme.endsWith('s');
  const transport = secure ? 'tls' : /transport=tcp/i.test(url) ? 'tcp' : 'udp';
  const [, host = '', given] = url.match(/^\w+:(\[[^\]]*\]|[^:?]*)(?::(\d+))?/) ?? [];
  const port = given ?? (secure ? '5349' : '3478'); // RFC 7064 §3.2, RFC 7065 §3.2
  return { relays: scheme.startsWith('turn'), transport, host: host.toLowerCase(), port };
}

/** The key of what is wrong with a server that was typed in, or an empty string. */
export function problemOf({ url, username, credential }) {
  if (!URL_FORM.test(url)) return 'own.problem.url';
  if (describe(url).relays && !(username && credential)) return 'own.problem.credential';
  return '';
}

export function asIceServer({ url, username, credential }) {
  return describe(url).relays ? { urls: [url], username, credential } : { urls: [url] };
}

/**
 * The policy for a relay's candidates. Under 'relay' browsers keep to themselves at which address
 * they are seen, and so over which family they asked.
 */
export function policyOf({ relays, family: apart }) {
  return relays && !apart ? 'relay' : 'all';
}

export function load() {
  try {
    const saved = JSON.parse(localStorage.getItem(REMEMBERED) ?? '[]');
    return saved.map(({ url, username }) => ({ url: String(url), username: String(username ?? ''), credential: '' }));
  } catch {
    return []; // storage is denied, or holds something else
  }
}

export function save(servers) {
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify(servers.map(({ url, username }) => ({ url, username }))));
  } catch {
    // Then the list lasts as long as the page.
  }
}
