// /call/{room}: from the lobby into the call and out again. What happens between people is
// stage.js, built on the SDK.
import { Media } from '/signalbox-media.js';
import { connect } from '/signalbox.js';
import { miss, user, wasAskedFor } from '../answered.js';
import { byId, copy, h } from '../dom.js';
import { known, label, locale, say, start, t } from '../i18n.js';
import { asks, secureURL, sharedURL } from '../origin.js';
import { askPass, isRight, keepPass, pass, takePass } from '../pass.js';
import { roomOf } from '../room.js';
import { NAME_MAX, visible } from '../text.js';
import { Arrival } from './arrival.js';
import { stayAwake } from './awake.js';
import { Chat } from './chat.js';
import { Controls } from './controls.js';
import { Details } from './details.js';
import { DeviceChoice } from './devices.js';
import { Invite } from './invite.js';
import { Keys } from './keys.js';
import { Outage } from './outage.js';
import { withVoices } from './policy.js';
import { Recording } from './recording.js';
import { Stage } from './stage.js';
import { Trouble } from './trouble.js';

const REMEMBERED_NAME = 'signalbox.name';
const WAYS_ON = { 'end.left': 'call.rejoin', 'end.replaced': 'call.here' };

const parameters = new URLSearchParams(location.search);
const roomName = roomOf(location.pathname);
const relayOnly = parameters.get('relay') === '1';

// The sound of a tab goes along, where the browser offers it.
const media = new Media({ screen: { video: { frameRate: { ideal: 15, max: 30 } }, audio: true } });
const chat = new Chat({ onsend: (text) => stage?.say(text) });
const controls = new Controls(media);
const trouble = new Trouble(media, isListed);
const choice = new DeviceChoice(media, trouble);
const details = new Details();
const invite = new Invite();
const arrival = new Arrival(() => (roomName === null ? t('call.title') : `${roomName} · ${t('call.title')}`));
const recording = new Recording(roomName ?? '');
const outage = new Outage(() => stage?.lines ?? []);
new Keys(media, () => document.body.dataset.state === 'in-call');
let session = null;
let stage = null;

start();
for (const id of ['room-name', 'call-heading']) byId(id).textContent = roomName;
byId('relay-note').hidden = !relayOnly;
byId('name').value = parameters.get('name') ?? (storedName() || (user() ?? ''));
takePass();
offerSecureURL();
// A link must not join for its reader: a visitor who has allowed camera and microphone permanently
// would be on the air at once.
if (roomName === null) refuseRoom();
else enterLobby();

byId('lobby').addEventListener('submit', (event) => {
  event.preventDefault();
  if (isAtDoor()) enterLobby();
  else join();
});
byId('leave').addEventListener('click', () => finish('left', 'end.left'));
byId('unblock').addEventListener('click', () => stage?.unblock());
byId('rejoin').addEventListener('click', async () => {
  setState('lobby');
  await enterLobby();
});
byId('copy-link').addEventListener('click', async () => {
  const done = await copy(sharedURL());
  sayCopied(done ? 'copied' : 'copy.failed');
  setTimeout(() => sayCopied('call.copy'), 2000);
});
media.on('track', ({ kind }) => changed(kind));
media.on('muted', ({ kind }) => changed(kind));
media.on('error', () => {
  controls.refresh();
  showDevices();
});

// On a phone the button has no room for words but while there is something new.
function sayCopied(key) {
  byId('copy-link').toggleAttribute('data-news', key !== 'call.copy');
  say(byId('copy-link-text'), key);
  label(byId('copy-link'), key);
}

function setState(state) {
  document.body.dataset.state = state;
  for (const view of document.querySelectorAll('[data-view]')) {
    view.hidden = !view.dataset.view.split(' ').includes(state);
  }
  byId('join').disabled = state === 'joining';
  if (state !== 'in-call') say(byId('status'), '');
  trouble.hide();
  stayAwake(state === 'in-call');
  for (const dialog of ['settings', 'keys', 'details']) byId(dialog).close();
  if (state !== 'lobby' && state !== 'joining') choice.end();
}

// A box that asks for a password does so first: nobody turns on a camera in vain.
async function enterLobby() {
  const isLetIn = !asks || (pass() ? await isRight() : false);
  document.body.toggleAttribute('data-door', isLetIn === false);
  say(byId('join'), isAtDoor() ? 'pass.bring' : 'call.join');
  say(byId('lobby-title'), isAtDoor() ? 'pass.title' : 'call.lobby');
  if (isAtDoor()) return askPass();
  if (asks && isLetIn) keepPass();
  await openDevices();
  if (wasAskedFor(roomName)) join();
}

function isAtDoor() {
  return document.body.hasAttribute('data-door');
}

async function openDevices() {
  const opened = media.open();
  controls.refresh();
  showDevices();
  choice.begin();
  await opened;
  showDevices();
}

function changed(kind) {
  controls.refresh();
  showDevices();
  stage?.update(kind);
}

function showDevices() {
  const preview = byId('preview');
  const shown = preview.srcObject?.getVideoTracks()[0] ?? null;
  if (shown !== media.camera) preview.srcObject = media.camera && new MediaStream([media.camera]);
  const isAsking = media.isPending('microphone') || media.isPending('camera');
  say(byId('preview-note'), media.camera ? '' : isAsking ? 'media.asking' : 'media.nocamera');
  // That the page isn't secure, and where it is, stands above.
  const notes = ['microphone', 'camera'].map((kind) => media.errorOf(kind))
    .filter((error) => error && error.code !== 'insecure')
    .map((error) => h('li', { t: 'media.error', params: { words: () => error.words(locale()) } }));
  if (!media.microphone && !media.camera && !isAsking) notes.push(h('li', { class: 'calm', t: 'media.receive' }));
  byId('media-notes').replaceChildren(...notes);
}

// Whether the lobby's list says it.
function isListed(error) {
  const { kind } = error;
  return document.body.dataset.state === 'lobby' && kind !== 'speaker' && media.errorOf(kind) === error;
}

async function join() {
  if (document.body.dataset.state !== 'lobby') return;
  const name = visible(byId('name').value);
  if (!checkName(name)) return;
  setState('joining');
  arrival.prepare();
  say(byId('status'), 'status.joining');
  storeName(name);
  try {
    session = await enter(name || t('call.guest'));
    session.on('state', follow);
    session.on('carrier', showCarrier);
    showCarrier();
    const stream = new MediaStream([media.microphone, media.camera].filter(Boolean));
    const sdpTransform = (sdp) => withVoices(sdp, room.peers.size);
    const room = session.room(roomName, { stream, relayOnly, sdpTransform });
    stage = new Stage({ room, name: session.name, controls, media, chat, invite, arrival, details,
      recording, trouble });
    room.on('closed', ({ error }) => failed(error));
    await room.join();
    keepPass();
    recording.begin(stage);
    setState('in-call');
    byId('stage').focus(); // the button that was pressed is gone
    stage.joined();
  } catch (error) {
    if (error.code === 'unauthorized') refused();
    else failed(error);
  }
}

// Whoever can be called by name, stays so, and is busy now. Another tab may have the name by now.
async function enter(name) {
  const options = { name, token: pass };
  const handle = user();
  if (!handle) return connect(options);
  try {
    const own = await connect({ ...options, user: handle });
    own.on('call', ({ call }) => {
      call.decline('busy');
      miss(call.user ?? call.name);
    });
    return own;
  } catch (error) {
    if (error.code !== 'user-taken') throw error;
    return connect(options);
  }
}

function checkName(name) {
  const count = [...name].length;
  const good = count <= NAME_MAX;
  byId('name').setAttribute('aria-invalid', String(!good));
  say(byId('name-problem'), good ? '' : 'call.name.long', { count });
  if (!good) byId('name').focus();
  return good;
}

// The box asks for admission: the lobby gets a field for it.
function refused() {
  drop();
  setState('lobby');
  askPass();
}

function showCarrier() {
  byId('carrier-note').hidden = session?.carrier !== 'sse';
}

function follow({ state, error }) {
  if (state === 'reconnecting') outage.start();
  else outage.end();
  // Before joining, the pending request reports the error.
  if (state === 'closed' && error?.code !== 'closed' && document.body.dataset.state === 'in-call') failed(error);
}

function failed(error) {
  const key = `end.${error.code}`;
  if (known(key)) finish('failed', key);
  else finish('failed', 'end.other', { code: error.code ?? error.name });
}

function drop() {
  const ended = session;
  session = null;
  recording.end();
  ended?.close();
  stage?.close();
  stage = null;
  chat.clear();
  outage.end();
  showCarrier();
}

function finish(state, reason, params) {
  if (document.body.dataset.state === 'failed' || document.body.dataset.state === 'left') return;
  drop();
  media.close();
  setState(state);
  const title = reason.replace('end.', 'end.title.');
  say(byId('end-title'), known(title) ? title : 'end.title.failed');
  say(byId('end-reason'), reason, params);
  say(byId('rejoin'), WAYS_ON[reason] ?? 'call.again');
  byId('rejoin').focus();
}

function refuseRoom() {
  finish('failed', 'end.room');
  byId('rejoin').hidden = byId('copy-link').hidden = true;
  byId('end-home').className = 'button primary'; // the way on
}

function offerSecureURL() {
  const url = secureURL();
  byId('insecure').hidden = isSecureContext;
  const link = byId('insecure-link');
  if (url) link.href = url;
  link.textContent = url ?? t('insecure.local');
}

function storedName() {
  try {
    return localStorage.getItem(REMEMBERED_NAME) ?? '';
  } catch {
    return '';
  }
}

function storeName(name) {
  try {
    localStorage.setItem(REMEMBERED_NAME, name);
  } catch {
    // Then it is asked for again next time.
  }
}
