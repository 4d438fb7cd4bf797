// The people of one room: a tile for each, their names and states, and how much may be sent to
// them.
import { Stats, verdictWords } from '/signalbox-stats.js';
import { byId } from '../dom.js';
import { locale, say, t } from '../i18n.js';
import { Grid, Tile } from './tiles.js';

const UPLINK_BITS = 3_000_000; // for all peers together: in a mesh everybody sends to everybody
const PEER_BITS_MIN = 150_000;
const CALM = ['good', 'unknown', 'no-path']; // verdicts that say nothing new

export class Stage {
  #tiles = new Map(); // peer id -> {tile, state, stats, silence}
  #grid = new Grid(byId('tiles'));
  #preview = new MediaStream();

  constructor({ room, name, controls, media, chat }) {
    this.room = room;
    this.name = name;
    this.controls = controls;
    this.media = media;
    this.chat = chat;
    this.self = new Tile(name, { self: true });
    this.#grid.add(this.self);
    this.refreshSelf();
    room.on('peer', ({ peer }) => this.#add(peer));
    room.on('left', ({ peer }) => this.#remove(peer));
    room.on('track', ({ peer, track }) => {
      track.onmute = track.onunmute = () => this.#show(peer);
      this.#show(peer);
    });
    room.on('state', ({ peer, state }) => {
      this.#note(peer);
      if (state === 'connected') this.#divideUplink();
    });
    room.on('presence', ({ peer }) => this.#note(peer));
    room.on('error', ({ peer }) => this.#tiles.get(peer.id)?.tile.setNote('tile.failed'));
    room.on('open', ({ peer }) => peer.send(this.#about()));
    room.on('message', ({ peer, data }) => this.#hear(peer, data));
    this.count();
  }

  /** Follows a change of what this browser sends. */
  async update(kind) {
    this.refreshSelf();
    await this.room.replaceTrack(kind, kind === 'audio' ? this.media.microphone : this.#picture);
    this.#divideUplink();
    this.room.send(this.#about());
  }

  /** The screen takes the camera's place. */
  get #picture() {
    return this.media.screen ?? this.media.camera;
  }

  refreshSelf() {
    const video = this.#picture;
    for (const track of this.#preview.getTracks()) this.#preview.removeTrack(track);
    if (video) this.#preview.addTrack(video);
    const { state } = this.controls;
    this.self.play(this.#preview, { shown: Boolean(video), muted: !state.audio, screen: state.screen });
    this.self.setNote(this.media.microphone || video ? '' : 'tile.receive');
  }

  say(text) {
    const reached = this.room.send(JSON.stringify({ type: 'chat', text }));
    this.chat.add(t('call.you'), text, { own: true, note: reached ? null : 'chat.nobody' });
  }

  /** Plays what the browser refused to play without a gesture of the visitor. */
  unblock() {
    byId('unblock').hidden = true;
    for (const { tile } of this.#tiles.values()) tile.video.play();
  }

  close() {
    for (const entry of this.#tiles.values()) end(entry);
    this.#grid.close();
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
    return JSON.stringify({ type: 'state', ...this.controls.state });
  }

  #add(peer) {
    const tile = new Tile(peer.name || t('call.guest'));
    tile.element.dataset.peer = peer.id;
    tile.element.dataset.path = '';
    tile.setNote('tile.connecting');
    const stats = new Stats(peer);
    stats.on('sample', ({ sample }) => tile.setPath(sample));
    stats.on('verdict', () => this.#note(peer));
    this.#tiles.set(peer.id, { tile, state: null, stats, silence: this.media.play(tile.video) });
    this.#grid.add(tile);
    this.count();
  }

  #remove(peer) {
    const entry = this.#tiles.get(peer.id);
    if (!entry) return;
    this.#tiles.delete(peer.id);
    end(entry);
    this.#grid.remove(entry.tile);
    this.#divideUplink();
    this.count();
  }

  #hear(peer, data) {
    const entry = this.#tiles.get(peer.id);
    const message = parse(data);
    if (!entry || !message) return;
    if (message.type === 'chat' && typeof message.text === 'string') {
      this.chat.add(entry.tile.name, message.text);
    } else if (message.type === 'state') {
      entry.state = message;
      this.#show(peer);
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
      screen: state?.screen === true,
    });
    tile.video.play().catch((error) => {
      if (error.name === 'NotAllowedError') byId('unblock').hidden = false;
    });
  }

  /** Says how many others there are. */
  count() {
    const others = this.#tiles.size;
    say(byId('status'), ['status.alone', 'status.one'][others] ?? 'status.more', { others });
  }

  // Without a bound every connection takes what it finds, and on a home uplink the last to join
  // starves.
  async #divideUplink() {
    const { peers } = this.room;
    const bits = Math.max(PEER_BITS_MIN, Math.floor(UPLINK_BITS / Math.max(1, peers.size)));
    for (const peer of peers.values()) {
      for (const sender of peer.connection.getSenders()) {
        if (sender.track?.kind !== 'video') continue;
        const parameters = sender.getParameters();
        if (!parameters.encodings?.length || parameters.encodings[0].maxBitrate === bits) continue;
        parameters.encodings[0].maxBitrate = bits;
        try {
          await sender.setParameters(parameters);
        } catch {
          // A negotiation that has just begun makes these parameters stale; the next change sets
          // them.
        }
      }
    }
  }
}

function end({ stats, silence }) {
  stats.stop();
  silence();
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null; // another application may share the room
  }
}
