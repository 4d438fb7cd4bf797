// The people of one room: a tile for each and for each screen that is shared, their names and
// states, and how much may be sent to them.
import { Stats, verdictWords } from '/signalbox-stats.js';
import { byId } from '../dom.js';
import { locale, say, t } from '../i18n.js';
import { Places } from './places.js';
import { Sending } from './sending.js';
import { ScreenTile, Tile } from './tiles.js';
import { Voices } from './voices.js';

const SCREEN = 'screen'; // the stream's name
const RESIZED_MS = 400; // after the last change of a tile's size
const HIDDEN_MS = 5000; // after which a tile without a size isn't only being laid out
const CALM = ['good', 'unknown', 'no-path']; // verdicts that say nothing new

export class Stage {
  #tiles = new Map(); // peer id -> {tile, state, stats, silence, timer}
  #screens = new Map(); // peer id, '' for one's own -> {tile, silence}
  #places = new Places();
  #preview = new MediaStream();
  #isJoined = false;
  #sending;
  #sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => this.#resized(target)));
  #voices = new Voices(() => [...this.#tiles].flatMap(([id, { tile }]) => {
    const peer = this.room.peers.get(id);
    return peer ? [{ element: tile.element, connection: peer.connection }] : [];
  }));

  constructor({ room, name, controls, media, chat, invite, arrival, details, recording, trouble }) {
    this.room = room;
    const lines = () => [...this.#tiles].map(([id, { stats: { samples } }]) => ({ id, samples }));
    this.#sending = new Sending(room, media, lines, {
      onspare: () => this.#ask(), onfrozen: (is) => trouble.setFrozen(is),
    });
    this.name = name;
    this.controls = controls;
    this.media = media;
    this.chat = chat;
    this.invite = invite;
    this.arrival = arrival;
    this.details = details;
    this.recording = recording;
    this.self = new Tile(name, { self: true });
    this.#places.add(this.self);
    this.refreshSelf();
    room.on('peer', ({ peer }) => this.#add(peer));
    room.on('left', ({ peer }) => this.#remove(peer));
    room.on('track', ({ peer, track, name }) => {
      if (name) return this.#play(this.#screens.get(peer.id)?.tile.video);
      track.onmute = track.onunmute = () => this.#show(peer);
      this.#show(peer);
    });
    room.on('stream', ({ peer, name, stream }) => name === SCREEN && this.#showScreen(peer.id, stream, peer.name));
    room.on('state', ({ peer, state }) => {
      this.#note(peer);
      if (state === 'connected') this.#sending.update();
    });
    room.on('presence', ({ peer }) => this.#note(peer));
    room.on('error', ({ peer }) => this.#tiles.get(peer.id)?.tile.setNote('tile.failed'));
    room.on('open', ({ peer }) => {
      peer.send(this.#about());
      if (this.#tiles.get(peer.id)?.tile.element.clientHeight) this.#ask(peer);
    });
    room.on('message', ({ peer, data }) => this.#hear(peer, data));
    this.count();
  }

  /** Follows a change of what this browser sends: `microphone`, `camera` or `screen`. */
  async update(kind) {
    this.refreshSelf();
    const track = this.media[kind];
    if (kind === 'screen') {
      this.#showScreen('', track && new MediaStream([track]));
      await this.room.replaceTrack('video', track, SCREEN);
      await this.room.replaceTrack('audio', this.media.screenSound, SCREEN);
    } else {
      await this.room.replaceTrack(kind === 'microphone' ? 'audio' : 'video', track);
    }
    this.#sending.update();
    this.tell();
  }

  /** Tells the others what they are sent, and whether they are recorded. */
  tell() {
    this.room.send(this.#about());
  }

  /** What there is to record: see recorder.js. */
  get scene() {
    const { microphone, screenSound } = this.media;
    const peers = [...this.room.peers.values()];
    const sounds = peers.flatMap(({ stream, streams }) => [stream, ...streams.values()])
      .flatMap((stream) => stream.getAudioTracks());
    const tiles = [...this.#screens.values(), ...this.#tiles.values()].map(({ tile }) => tile).concat(this.self);
    const pictures = tiles.map(({ name, video, element, isScreen = false }) => (
      { video: element.hasAttribute('data-picture') ? video : null, name, isScreen }));
    return { pictures, tracks: [...sounds, microphone, screenSound].filter(Boolean) };
  }

  refreshSelf() {
    const { camera, microphone } = this.media;
    for (const track of this.#preview.getTracks()) this.#preview.removeTrack(track);
    if (camera) this.#preview.addTrack(camera);
    this.self.play(this.#preview, { shown: Boolean(camera), muted: !this.controls.state.audio });
    this.self.setNote(microphone || camera ? '' : 'tile.receive');
  }

  say(text) {
    const reached = this.room.send(JSON.stringify({ type: 'chat', text }));
    this.chat.add(t('call.you'), text, { note: reached ? null : 'chat.nobody' });
  }

  /** Plays what the browser refused to play without a gesture of the visitor. */
  unblock() {
    byId('unblock').hidden = true;
    for (const { tile } of [...this.#tiles.values(), ...this.#screens.values()]) tile.video.play();
  }

  /** What is known of the connection to each: its state, the last second, and whether they send. */
  get lines() {
    return [...this.#tiles].map(([id, { state, stats }]) => ({
      state: this.room.peers.get(id)?.state,
      sample: stats.last,
      sends: Boolean(state?.audio || state?.video || this.#screens.has(id)),
    }));
  }

  close() {
    for (const entry of this.#tiles.values()) end(entry);
    this.#voices.end();
    this.#sending.end();
    this.#sizes.disconnect();
    for (const id of [...this.#screens.keys()]) this.#showScreen(id, null);
    this.#places.close();
    byId('unblock').hidden = true;
  }

  // A peer that the box has lost is still seen and heard as long as media arrives.
  #note({ id, state, present }) {
    const entry = this.#tiles.get(id);
    if (!entry) return;
    const { tile, stats: { verdict } } = entry;
    tile.element.dataset.verdict = verdict.code;
    if (state !== 'connected') tile.setNote(`tile.${state}`);
    else if (!present) tile.setNote('tile.absent');
    else if (CALM.includes(verdict.code)) tile.setNote('');
    else tile.setNote('tile.verdict', { words: () => verdictWords(verdict, locale()) });
  }

  #about() {
    return JSON.stringify({ type: 'state', ...this.controls.state, recording: this.recording.isOn });
  }

  #add(peer) {
    const tile = new Tile(peer.name || t('call.guest'));
    tile.element.dataset.peer = peer.id;
    tile.element.dataset.path = '';
    tile.setNote('tile.connecting');
    const stats = new Stats(peer);
    stats.on('sample', ({ sample }) => tile.setPath(sample));
    stats.on('verdict', () => this.#note(peer));
    tile.ondetails = () => this.details.open(tile.name, stats);
    this.#tiles.set(peer.id, { tile, state: null, stats, silence: this.media.play(tile.video) });
    this.#places.add(tile);
    this.#sizes.observe(tile.element);
    this.count();
    if (this.#isJoined) this.arrival.came(tile.name);
  }

  #remove(peer) {
    const entry = this.#tiles.get(peer.id);
    if (!entry) return;
    this.#tiles.delete(peer.id);
    this.details.closeOf(entry.stats);
    this.recording.setOther(peer.id, entry.tile.name, false);
    end(entry);
    this.#sizes.unobserve(entry.tile.element);
    this.#places.remove(entry.tile);
    this.#showScreen(peer.id, null);
    this.#sending.update();
    this.count();
  }

  #hear(peer, data) {
    const entry = this.#tiles.get(peer.id);
    const message = parse(data);
    if (!entry || !message) return;
    if (message.type === 'chat' && typeof message.text === 'string') {
      this.chat.add(entry.tile.name, message.text, { from: peer.id });
    } else if (message.type === 'shown') {
      this.#sending.setShown(peer.id, message.height, message.spare);
    } else if (message.type === 'state') {
      entry.state = message;
      this.recording.setOther(peer.id, entry.tile.name, message.recording === true);
      this.#show(peer);
    }
  }

  // Asks for a picture that is as large as the tile, once that has come to rest.
  #resized(element) {
    const entry = this.#tiles.get(element.dataset.peer);
    if (!entry) return;
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => {
      const peer = this.room.peers.get(element.dataset.peer);
      if (peer) this.#ask(peer);
    }, element.clientHeight ? RESIZED_MS : HIDDEN_MS);
  }

  // Says how large a picture is to come from this peer, or from each.
  #ask(...peers) {
    for (const peer of peers.length ? peers : this.room.peers.values()) {
      const element = this.#tiles.get(peer.id)?.tile.element;
      if (element) peer.send(JSON.stringify({ type: 'shown', height: shownIn(element), spare: this.#sending.spare }));
    }
  }

  #show(peer) {
    const entry = this.#tiles.get(peer.id);
    if (!entry) return;
    const { tile, state } = entry;
    const arriving = peer.stream.getVideoTracks().some((track) => !track.muted);
    tile.play(peer.stream, {
      shown: arriving && state?.video !== false,
      muted: state?.audio === false,
    });
    this.#play(tile.video);
  }

  // Shows the screen that somebody shares, or no longer.
  #showScreen(id, stream, name) {
    const before = this.#screens.get(id);
    this.#screens.delete(id);
    before?.silence();
    if (before) this.#places.remove(before.tile);
    if (!stream) return;
    const stop = id ? null : () => {
      this.media.unshare();
      byId('share').focus(); // the button that was pressed is gone
    };
    const tile = new ScreenTile(id, stream, { name: name || t('call.guest'), stop });
    this.#screens.set(id, { tile, silence: this.media.play(tile.video) });
    this.#places.add(tile);
    this.#play(tile.video);
  }

  #play(video) {
    video?.play().catch((error) => {
      if (error.name === 'NotAllowedError') byId('unblock').hidden = false;
    });
  }

  /** The visitor is in the call: who comes from now on, comes later. */
  joined() {
    this.#isJoined = true;
    if (this.#tiles.size) this.chat.remark('chat.before');
    this.count();
  }

  /** Says how many others there are. */
  count() {
    const others = this.#tiles.size;
    say(byId('status'), ['status.alone', 'status.one'][others] ?? 'status.more', { others });
    byId('status').toggleAttribute('data-alone', !others);
    this.invite.show(!others);
  }
}

function end({ stats, silence, timer }) {
  clearTimeout(timer);
  stats.stop();
  silence();
}

// A picture fills its tile: of a tile that is higher than the picture's shape, all the height.
function shownIn({ clientHeight, clientWidth }) {
  return Math.round(Math.max(clientHeight, clientWidth * 9 / 16) * devicePixelRatio);
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null; // another application may share the room
  }
}
