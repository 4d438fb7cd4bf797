// What is seen of a call: a tile for each person, and one for each screen that is shared.
import { h, icon, setIcon } from '../dom.js';
import { label, say, t } from '../i18n.js';

// What both kinds have: a double click, or tap, shows the whole picture or fills the tile with it;
// and buttons that appear where the pointer is.
class Pinnable {
  onpin = () => {};

  #pin = h('button', { class: 'tile-action', type: 'button', label: 'tile.pin', 'aria-pressed': 'false',
    on: { click: () => this.onpin() } }, icon('pin'));

  showPinned(isPinned) {
    this.#pin.setAttribute('aria-pressed', String(isPinned));
    label(this.#pin, isPinned ? 'tile.unpin' : 'tile.pin');
  }

  get actions() {
    const above = document.pictureInPictureEnabled && h('button', { class: 'tile-action', type: 'button',
      label: 'tile.above', on: { click: () => this.#keepAbove() } }, icon('above'));
    return h('div', { class: 'tile-actions' }, above || null, this.#pin);
  }

  fits(element) {
    element.addEventListener('dblclick', ({ target }) => {
      if (!target.closest('button')) element.toggleAttribute('data-fit');
    });
    return element;
  }

  // A picture that stays above other windows.
  #keepAbove() {
    if (document.pictureInPictureElement === this.video) document.exitPictureInPicture();
    else this.video.requestPictureInPicture().catch(() => {}); // there may be no picture yet
  }
}

/** A person: name, picture or initials, microphone, and how they are reached. */
export class Tile extends Pinnable {
  ondetails = () => {};

  constructor(name, { self = false } = {}) {
    super();
    this.name = name;
    this.self = self;
    this.video = h('video', { autoplay: true, playsinline: true });
    this.video.muted = self;
    this.avatar = h('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(name));
    this.microphone = icon('mic-off');
    this.microphone.removeAttribute('aria-hidden');
    this.microphone.setAttribute('role', 'img');
    label(this.microphone, 'tile.muted');
    this.microphone.setAttribute('hidden', '');
    this.label = h('span', { class: 'tile-name', dir: 'auto' });
    this.pathIcon = icon('direct');
    this.pathText = h('span', { class: 'numeric' });
    this.path = h('button', { class: 'tile-path', type: 'button', 'aria-haspopup': 'dialog', hidden: true,
      on: { click: () => this.ondetails() } }, this.pathIcon, this.pathText);
    this.note = h('p', { class: 'tile-note', hidden: true });
    this.element = this.fits(h('div', { class: 'tile', role: 'group', 'aria-label': name }, this.video, this.avatar,
      this.note, h('div', { class: 'tile-bar' }, this.microphone, this.label, this.path), self ? null : this.actions));
    if (self) {
      this.element.dataset.self = '';
      this.label.id = 'self-name';
      this.element.setAttribute('aria-labelledby', this.label.id);
      say(this.label, 'call.you');
    } else {
      this.label.textContent = name;
    }
  }

  /** What this tile plays. A stream whose video is not `shown` is heard only. */
  play(stream, { shown, muted }) {
    if (this.video.srcObject !== stream) this.video.srcObject = stream;
    this.element.toggleAttribute('data-picture', shown);
    this.microphone.toggleAttribute('hidden', !muted);
  }

  setPath({ path, rtt }) {
    this.element.dataset.path = path ?? '';
    this.path.hidden = !path;
    if (!path) return;
    if (rtt !== null) this.element.dataset.rtt = String(rtt);
    const [kind, protocol] = path.split('-');
    setIcon(this.path, kind);
    const where = `path.${protocol ?? kind}`;
    say(this.pathText, rtt === null ? 'path.only' : 'path.rtt', { path: () => t(where), rtt: milliseconds(rtt) });
  }

  /** Shows a sentence over the picture; no key takes it away. */
  setNote(key, params) {
    this.note.hidden = !key;
    say(this.note, key, params);
  }
}

/** A screen that somebody shares: with `stop`, the visitor's own. */
export class ScreenTile extends Pinnable {
  isScreen = true;

  constructor(owner, stream, { name, stop = null }) {
    super();
    this.own = Boolean(stop);
    this.name = name;
    this.video = h('video', { autoplay: true, playsinline: true });
    this.video.muted = this.own;
    this.video.srcObject = stream;
    const title = h('span', { class: 'tile-name', id: `screen-${owner}`, dir: 'auto' });
    say(title, this.own ? 'tile.sharing' : 'tile.screen', { name });
    const action = this.own
      ? h('button', { class: 'button', type: 'button', t: 'control.share.stop', on: { click: stop } })
      : h('button', { class: 'tile-full', type: 'button', label: 'control.full', on: { click: () => this.#fill() } },
        icon('full'));
    this.element = this.fits(h('div', { class: 'tile', role: 'group', 'aria-labelledby': title.id, 'data-screen': owner,
      'data-picture': true }, this.video, h('div', { class: this.own ? 'tile-sharing' : 'tile-bar' }, icon('screen'),
      title, action), this.own ? null : this.actions));
  }

  // On a phone, letters are legible only so. iPhones have it for videos only.
  #fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.element.requestFullscreen) this.element.requestFullscreen().catch(() => {});
    else this.video.webkitEnterFullscreen?.();
  }
}

function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map(firstLetter).join('').toUpperCase() || '?';
}

// What people take for one letter may be several characters, such as a family of emoji.
function firstLetter(word) {
  if (!Intl.Segmenter) return [...word][0];
  return new Intl.Segmenter().segment(word)[Symbol.iterator]().next().value.segment;
}

/** A round trip in milliseconds, as people read it. */
export function milliseconds(rtt) {
  return rtt < 1 ? '<1' : rtt;
}
