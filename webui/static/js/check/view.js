// What the check page shows, from verdicts and candidates. It decides nothing.
import { byId, h, setIcon } from '../dom.js';
import { say } from '../i18n.js';

const ICONS = { good: 'good', warn: 'warn', bad: 'bad', unknown: 'info', running: 'again' };

/** A verdict over the whole page, or over one of the two tests with data. */
export function showVerdict(element, { verdict, words, fix, params }) {
  element.dataset.verdict = verdict;
  setIcon(element, ICONS[verdict]);
  say(element.querySelector('.words'), words, params);
  say(element.querySelector('.fix'), fix, params);
}

export class ServerRow {
  constructor(server) {
    this.badge = h('span', { class: 'badge running', t: 'verdict.running' });
    this.words = h('p', { class: 'words', t: 'server.running' });
    this.fix = h('p', { class: 'fix small' });
    this.element = h(
      'li',
      { class: 'server', 'data-url': server.url, 'data-verdict': 'running', 'data-origin': server.origin },
      h('div', { class: 'server-head' }, h('code', { class: 'server-url' }, server.url), this.badge),
      this.words,
      this.fix,
    );
  }

  show({ verdict, words, fix, params }, { code, loop }) {
    this.element.dataset.verdict = verdict;
    if (code) this.element.dataset.code = String(code);
    if (loop?.ok) this.element.dataset.rtt = String(loop.median);
    this.badge.className = `badge ${verdict}`;
    say(this.badge, `verdict.${verdict}`);
    say(this.words, words, params);
    say(this.fix, fix, params);
  }
}

export function addCandidate({ ms, type, protocol, relayProtocol, address, port, priority, url }) {
  byId('candidates-empty').hidden = true;
  byId('candidates').hidden = false;
  byId('candidates').tBodies[0].append(h('tr', { 'data-type': type },
    h('td', { class: 'number' }, (ms / 1000).toFixed(3)),
    h('td', { t: `candidate.${type}` }),
    h('td', {}, relayProtocol ? `${protocol} / ${relayProtocol}` : protocol),
    h('td', { class: 'mono' }, address ?? '–'),
    h('td', { class: 'number' }, String(port ?? '–')),
    h('td', { class: 'mono nowrap' }, formatPriority(priority)),
    h('td', { class: 'mono' }, url)));
}

// RFC 8445 §5.1.2.1: type preference, local preference, 256 - component.
function formatPriority(priority) {
  return [priority >>> 24, (priority >>> 8) & 0xffff, priority & 0xff].join(' | ');
}

/**
 * An error that a browser reported; it is harmless exactly if the same server gave a candidate all
 * the same.
 */
export function addError(server, { code, text, ms }, harmless) {
  byId('errors-section').hidden = false;
  byId('errors').append(h('li', { 'data-code': String(code) },
    h('code', {}, `${code} ${text}`), ' ',
    h('span', { class: 'muted' }, `${server.url} · ${(ms / 1000).toFixed(3)} s`), ' ',
    harmless ? h('span', { class: 'badge', t: 'errors.harmless' }) : null));
}

/** Empties the page for a run over these servers. Returns a row for each. */
export function begin(servers) {
  byId('candidates').hidden = true;
  byId('candidates').tBodies[0].replaceChildren();
  byId('candidates-empty').hidden = false;
  byId('errors-section').hidden = true;
  byId('errors').replaceChildren();
  const rows = new Map(servers.map((server) => [server, new ServerRow(server)]));
  for (const origin of ['box', 'own']) {
    const own = [...rows].filter(([server]) => server.origin === origin).map(([, row]) => row.element);
    byId(`servers-${origin}`).replaceChildren(...own);
    byId(`section-${origin}`).hidden = own.length === 0;
  }
  return rows;
}
