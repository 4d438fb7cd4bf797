import { user } from './answered.js';
import { byId, copy } from './dom.js';
import { tellHealth } from './health.js';
import { say, start } from './i18n.js';
import { secureURL, sharedURL } from './origin.js';
import { takePass } from './pass.js';
import { wayTo } from './room.js';
import { NAME_MAX, visible } from './text.js';

const WORDS = [
  'amber', 'birch', 'cedar', 'coral', 'delta', 'ember', 'fern', 'flint', 'garnet', 'harbor', 'hazel',
  'indigo', 'ivory', 'juniper', 'lark', 'linen', 'maple', 'meadow', 'mica', 'moss', 'nectar', 'oak',
  'olive', 'opal', 'pearl', 'pine', 'quartz', 'reed', 'river', 'saffron', 'slate', 'willow',
];

/** A name that can be read out over a telephone. */
function randomRoom() {
  const random = crypto.getRandomValues(new Uint32Array(3));
  const number = String(random[2] % 10_000).padStart(4, '0');
  return `${WORDS[random[0] % WORDS.length]}-${WORDS[random[1] % WORDS.length]}-${number}`;
}

start();

const secure = secureURL();
const room = byId('room');
room.value = randomRoom();
room.addEventListener('focus', () => room.select());
byId('suggest').addEventListener('click', () => {
  room.value = randomRoom();
  room.focus();
});

byId('start').addEventListener('submit', (event) => {
  event.preventDefault();
  const { href, problem, params } = wayTo(room.value, location);
  room.setAttribute('aria-invalid', String(Boolean(problem)));
  say(byId('room-problem'), problem ?? '', params);
  // Where this page is not secure, the room would have no camera and microphone.
  if (href) location.href = new URL(href, secure ?? location.href).href;
  else room.focus();
});

// It runs as it stands, also in a page from elsewhere.
const module = new URL('/signalbox.js', sharedURL()).href;
byId('snippet').textContent = byId('snippet').textContent.replace('/signalbox.js', module);
byId('snippet-copy').addEventListener('click', async () => {
  const done = await copy(byId('snippet').textContent);
  say(byId('snippet-said'), done ? 'copied' : 'copy.failed');
});

tellHealth();
for (const type of ['online', 'offline']) addEventListener(type, tellHealth);
document.addEventListener('visibilitychange', () => document.hidden || tellHealth());
if (byId('names')) offerNames();

if (secure) {
  byId('insecure').hidden = false;
  const link = byId('insecure-link');
  link.href = secure;
  link.textContent = secure;
}

// What is needed for calls by name is loaded when somebody wants them, or had them before the page
// was left for a call.
function offerNames() {
  takePass();
  byId('user').value = user() ?? '';
  const begin = async () => (await import('./names/main.js')).goOnline(byId('user').value);
  if (user()) begin();
  byId('names-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = visible(byId('user').value);
    byId('user').value = name;
    const count = [...name].length;
    const problem = !count ? 'names.empty' : count > NAME_MAX ? 'call.name.long' : '';
    byId('user').setAttribute('aria-invalid', String(Boolean(problem)));
    say(byId('user-problem'), problem, { count });
    if (problem) byId('user').focus();
    else begin();
  });
}
