// A whole application on the SDK: join a room, see and hear its members, leave.
import { connect } from '/signalbox.js';

const form = document.querySelector('#join');
const button = form.querySelector('button');
const leave = document.querySelector('#leave');
const status = document.querySelector('#status');
const videos = new Map(); // by peer id; our own is under ''
// From /example#token=..., for a box that asks for a token.
const linked = new URLSearchParams(location.hash.slice(1).replaceAll('+', '%2B')).get('token');
const token = () => form.elements.password.value || linked || undefined;
let session;
let stream;

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    await join(form.elements.room.value);
    showPass(false);
  } catch (error) {
    showPass(error.code === 'unauthorized');
    end(error);
  }
  button.disabled = false;
});
leave.addEventListener('click', () => end());

async function join(name) {
  if (!isSecureContext) throw new DOMException('Cameras are for https pages and localhost only.', 'SecurityError');
  stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  play('', stream).muted = true;
  session = await connect({ token });
  session.on('state', ({ state, error }) => (state === 'closed' ? end(error) : say(state)));
  const room = session.room(name, { stream });
  room.on('track', ({ peer, stream: theirs }) => play(peer.id, theirs));
  room.on('left', ({ peer }) => remove(peer.id));
  room.on('path', ({ peer, path }) => {
    if (videos.has(peer.id)) videos.get(peer.id).title = `${path.kind} over ${path.protocol}`;
  });
  room.on('closed', ({ error }) => end(error));
  await room.join();
  showJoined(true);
  say(session.state);
}

function end(error) {
  const ended = session;
  session = undefined;
  ended?.close();
  stream?.getTracks().forEach((track) => track.stop());
  for (const id of [...videos.keys()]) remove(id);
  showJoined(false);
  if (error) say(error.message, typeof error.code === 'string' ? error.code : error.name);
  else if (ended) say('');
}

function play(id, source) {
  if (!videos.has(id)) {
    const video = Object.assign(document.createElement('video'), { autoplay: true, playsInline: true });
    videos.set(id, video);
    document.querySelector('#videos').append(video);
  }
  return Object.assign(videos.get(id), { srcObject: source });
}

function remove(id) {
  videos.get(id)?.remove();
  videos.delete(id);
}

function showJoined(joined) {
  form.hidden = joined;
  leave.hidden = !joined;
}

// The box asks for a password or a token.
function showPass(asked) {
  document.querySelector('#password-field').hidden = !asked;
}

// The code is for who has better words, or another language.
function say(words, code = words) {
  status.textContent = words;
  status.dataset.code = code;
}
