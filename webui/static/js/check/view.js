// What the check page shows, from verdicts and candidates. It decides nothing.
import { byId, copy, h, icon, setIcon } from '../dom.js';
import { known, say } from '../i18n.js';
import { isShared, sharedURL } from '../origin.js';
import { formatPriority } from './candidates.js';
import { titleOf } from './servers.js';
import { lineOf, works } from './verdict.js';

const ERRORS_MAX = 200; // lines
const ICONS = { good: 'good', warn: 'warn', bad: 'bad', unknown: 'info', running: 'again' };

const errors = new Map(); // what makes them equal -> {times, told}, of those that are shown
let more = 0; // errors beside those

/** A verdict over the page, over the visitor's own servers, or over one of the tests with data. */
export function showVerdict(element, { verdict, words, fix, params, also = [] }) {
  element.dataset.verdict = verdict;
  setIcon(element, ICONS[verdict]);
  say(element.querySelector('.words'), words, params);
  say(element.querySelector('.fix'), fix, params);
  element.querySelector('.also')?.replaceChildren(...also.map((what) => (what.line
    ? h('li', {}, lineToCopy(what.line))
    : h('li', { t: what.words, params: what.params }))));
}

/** A line for a terminal or a file, with its button. */
function lineToCopy(line) {
  return h('span', { class: 'line' }, h('code', {}, line), copyButton(line));
}

function copyButton(text) {
  const button = h('button', { class: 'button compact', type: 'button', t: 'copy', on: {
    click: async () => say(button, await copy(text) ? 'copied' : 'copy.failed'),
  } });
  return button;
}

/** What the visitor's own servers came to; null hides it. */
export function showOwn(verdict) {
  byId('own-verdict').hidden = !verdict;
  if (verdict) showVerdict(byId('own-verdict'), verdict);
}

export class ServerRow {
  constructor(server) {
    this.server = server;
    this.badge = h('span', { class: 'badge running', t: 'verdict.running' });
    this.briefly = h('span', { class: 'badge running', t: 'verdict.running' });
    this.progress = h('li', {}, h('span', {}, this.briefly), h('code', {}, titleOf(server)));
    this.words = h('p', { class: 'words', t: 'server.running' });
    this.facts = h('dl', { class: 'facts' });
    this.fix = h('p', { class: 'fix small' });
    this.line = h('p', { class: 'fix' });
    this.box = h('div', { class: 'box-words' });
    this.halves = h(
      'div',
      { class: 'halves' },
      h('div', { class: 'half' }, h('h3', { class: 'small muted', t: 'half.browser' }), this.words),
      h('span', { class: 'arrow' }, icon('arrow')),
      h('div', { class: 'half half-box' }, h('h3', { class: 'small muted', t: 'half.box' }), this.box),
    );
    this.element = h(
      'li',
      { class: 'server', 'data-url': server.url, 'data-verdict': 'running', 'data-origin': server.origin },
      h('div', { class: 'server-head' }, h('code', { class: 'server-url' }, titleOf(server)), this.badge),
      this.halves,
      this.facts,
      this.fix,
      this.line,
    );
  }

  /** The box's half; null where it doesn't tell. */
  showBox(half) {
    this.halves.toggleAttribute('data-told', Boolean(half));
    this.halves.dataset.arrow = half?.arrow ?? '';
    this.box.replaceChildren(...(half?.lines ?? []).map((line) => h('p', { t: line.words, params: line.params })));
  }

  /** Nothing more comes of what was not done yet. */
  breakOff(verdict) {
    if (this.element.dataset.verdict !== 'running') return;
    this.show(verdict, {});
    this.showBox(null);
  }

  /** `facts` are those of factsOf. */
  show({ verdict, words, fix, params }, { code, loop, facts = [] }) {
    this.element.dataset.verdict = verdict;
    if (code) this.element.dataset.code = String(code);
    if (loop?.ok) this.element.dataset.rtt = String(loop.median);
    for (const badge of [this.badge, this.briefly]) {
      badge.className = `badge ${verdict}`;
      say(badge, `verdict.${verdict}`);
    }
    say(this.words, words, params);
    this.facts.replaceChildren(...facts.map((fact) => h('div', { 'data-name': fact.name },
      h('dt', { t: fact.name }), h('dd', { t: fact.words, params: fact.params }))));
    say(this.fix, fix, params);
    const line = lineOf({ fix, params, server: this.server });
    this.line.replaceChildren(...(line ? [lineToCopy(line)] : []));
  }
}

export function addCandidate({ ms, type, protocol, relayProtocol, address, port, priority, url }) {
  byId('run-candidates-empty').hidden = true;
  byId('run-candidates').hidden = false;
  byId('run-candidates').tBodies[0].append(h('tr', { 'data-type': type },
    h('td', { class: 'number' }, (ms / 1000).toFixed(3)),
    known(`candidate.${type}`) ? h('td', { t: `candidate.${type}` }) : h('td', {}, type),
    h('td', {}, relayProtocol ? `${protocol} / ${relayProtocol}` : protocol),
    h('td', { class: 'mono' }, address || '–'),
    h('td', { class: 'number' }, String(port || '–')),
    h('td', { class: 'mono nowrap' }, formatPriority(priority)),
    h('td', { class: 'mono' }, url)));
}

/**
 * An error that a browser reported; it is harmless exactly if the same server gave a candidate all
 * the same. Equal ones, as of several addresses of this browser's, are one line. A report that was
 * saved may hold any number.
 */
export function addError(server, { code, text, ms }, harmless) {
  byId('errors-section').hidden = false;
  const title = titleOf(server);
  const same = JSON.stringify([title, code, text, harmless]);
  const before = errors.get(same);
  if (before) return say(before.told, 'errors.times', { times: ++before.times });
  if (errors.size === ERRORS_MAX) return say(byId('errors-more'), 'errors.more', { more: ++more });
  const told = h('span', { class: 'muted times' });
  errors.set(same, { times: 1, told });
  return byId('errors').append(h('li', { 'data-code': String(code) },
    h('code', {}, `${code} ${text}`), ' ',
    h('span', { class: 'muted' }, `${title} · ${(ms / 1000).toFixed(3)} s`), ' ',
    told, ' ',
    harmless ? h('span', { class: 'badge', t: 'errors.harmless' }) : null));
}

/** A row for a server that was just typed in; it takes the place of an older one. */
export function addRow(server) {
  const row = new ServerRow(server);
  const list = byId('servers-own');
  [...list.children].find((other) => other.dataset.url === server.url)?.remove();
  list.append(row.element);
  byId('section-own').hidden = false;
  return row;
}

/** The link at which a second device tests the box, too, as text and as a code for its camera. */
export async function showLink(id) {
  const url = `${sharedURL()}?with=${id}`;
  byId('second-url').textContent = url;
  byId('second-copy').replaceChildren(copyButton(url));
  byId('second-local').hidden = isShared(url);
  byId('second-open').hidden = true;
  byId('second-qr').toggleAttribute('hidden', true);
  byId('second-link').hidden = false;
  if (!isShared(url)) return;
  const { drawCode } = await import('../qr.js').catch(() => ({})); // the link alone does it
  byId('second-qr').toggleAttribute('hidden', !drawCode?.(byId('second-qr'), url));
}

/** What the box had to refuse: [{name, verdict}]. */
export function showRefusals(refusals) {
  byId('section-refusals').hidden = !refusals.length;
  byId('refusals').replaceChildren(...refusals.map(({ name, verdict: { verdict, words, fix, params, also = [] } }) => h(
    'li',
    { class: 'server', 'data-name': name, 'data-verdict': verdict },
    h('div', { class: 'server-head' },
      h('p', { class: 'words', t: words, params }),
      h('span', { class: `badge ${verdict}`, t: verdict === 'good' ? 'verdict.refused' : `verdict.${verdict}` })),
    ...[fix && { words: fix, params }, ...also].filter(Boolean).map((what) =>
      h('p', { class: 'fix small', t: what.words, params: what.params })),
  )));
}

/** Results make room for the progress of another run, or take its place: nothing more comes. */
export function setRunning(isRunning) {
  const below = byId('below');
  const isSeen = below.getBoundingClientRect().top < innerHeight || below.contains(document.activeElement);
  byId('results').toggleAttribute('data-running', isRunning);
  if (isRunning) return;
  say(byId('run-candidates-empty'), 'check.candidates.nothing');
  // Put there anew, as results are, it doesn't jump. Where it is seen, the browser scrolls along.
  if (!isSeen) byId('results').after(below);
}

/** What is folded, if anything was tried, and beside it how many of the box's servers work. */
export function showCount(verdicts, isAny) {
  byId('details').hidden = !isAny;
  const params = { works: verdicts.filter(works).length, all: verdicts.length };
  say(byId('details-count'), verdicts.length ? 'check.details.count' : '', params);
}

/** Empties the page for a run over these servers. Returns a row for each. */
export function begin(servers) {
  byId('run-candidates').hidden = true;
  byId('run-candidates').tBodies[0].replaceChildren();
  byId('run-candidates-empty').hidden = false;
  say(byId('run-candidates-empty'), 'check.candidates.none');
  byId('errors-section').hidden = true;
  byId('errors').replaceChildren();
  errors.clear();
  more = 0;
  say(byId('errors-more'), '');
  const rows = new Map(servers.map((server) => [server, new ServerRow(server)]));
  byId('progress').replaceChildren(...[...rows.values()].map(({ progress }) => progress));
  for (const origin of ['box', 'own']) {
    const own = [...rows].filter(([server]) => server.origin === origin).map(([, row]) => row.element);
    byId(`servers-${origin}`).replaceChildren(...own);
    byId(`section-${origin}`).hidden = own.length === 0;
  }
  showOwn(null);
  showCount([], false);
  showRefusals([]);
  return rows;
}
