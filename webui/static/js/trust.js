import { byId, copy, h } from './dom.js';
import { locale, onLanguage, say, start, t } from './i18n.js';

const PATIENCE = 10_000; // ms

/**
 * Opens the steps of the visitor's own system, and of a browser that has a store of its own, and
 * puts them first.
 */
function openOwn() {
  const own = [system(), store()].filter(Boolean).map((name) => byId(`system-${name}`));
  for (const steps of own) steps.open = true;
  byId('systems').prepend(...own);
}

function system() {
  const agent = navigator.userAgent;
  // An iPad says that it is a Mac; no Mac has a touch screen.
  if (/iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1)) return 'ios';
  if (/Android/.test(agent)) return 'android';
  if (/Windows/.test(agent)) return 'windows';
  if (/Macintosh/.test(agent)) return 'macos';
  return /Linux/.test(agent) ? 'linux' : null;
}

function store() {
  if (/Firefox\//.test(navigator.userAgent)) return 'firefox';
  return system() === 'linux' && /Chrome\//.test(navigator.userAgent) ? 'chromium' : null;
}

let fingerprint = '';
let page = ''; // where other devices find this page, if they can

async function load() {
  byId('failed').hidden = true;
  byId('asking').hidden = false;
  const facts = await ask().catch(() => null);
  byId('asking').hidden = true;
  if (facts) return show(facts);
  byId('failed').hidden = false;
  say(byId('failed-why'), 'trust.failed');
}

async function ask() {
  const answer = await fetch('/api/trust', { cache: 'no-store', signal: AbortSignal.timeout?.(PATIENCE) });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

function show({ name, fingerprint: pairs, notAfter, urls }) {
  fingerprint = pairs;
  // Four pairs in a group, as one reads them out.
  const groups = pairs.match(/\w\w(:\w\w){0,3}/g);
  byId('fingerprint').replaceChildren(...groups.flatMap((group) => [h('span', {}, group), ' ']));
  for (const place of document.querySelectorAll('.ca-name')) place.textContent = name;
  say(byId('until'), 'trust.date', {
    date: () => new Date(notAfter).toLocaleDateString(locale(), { dateStyle: 'long' }),
  });
  byId('authority').hidden = false;

  byId('phone').hidden = false;
  byId('qr-figure').hidden = urls.length === 0;
  byId('qr-none').hidden = urls.length > 0;
  if (urls.length === 0) return;
  page = `${urls[0]}trust`;
  byId('qr').src = '/trust/qr.svg';
  byId('qr-link').href = page;
  byId('qr-link').textContent = page;
  describe();
}

function describe() {
  if (page) byId('qr').alt = t('trust.qr.alt', { url: page });
}

start();
openOwn();
onLanguage(describe);
byId('retry').addEventListener('click', load);
byId('fingerprint-copy').addEventListener('click', async () => {
  say(byId('fingerprint-said'), (await copy(fingerprint)) ? 'copied' : 'copy.failed');
});
load();
