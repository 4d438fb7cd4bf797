// The grid of people: one tile each, as large as the space allows.
import { h, icon, setIcon } from '../dom.js';
import { say, t } from '../i18n.js';

const WIDEST = 16 / 9; // what is beyond the shape of a camera's picture, or less than a square, shows nobody more
const GAP = 8;

export class Tile {
  constructor(name, { self = false } = {}) {
    this.name = name;
    this.self = self;
    this.video = h('video', { autoplay: true, playsinline: true });
    this.video.muted = self;
    this.avatar = h('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(name));
    this.microphone = icon('mic-off');
    this.microphone.setAttribute('hidden', '');
    this.label = h('span', { class: 'tile-name', dir: 'auto' });
    this.pathIcon = icon('direct');
    this.pathText = h('span', { class: 'numeric' });
    this.path = h('span', { class: 'tile-path', hidden: true }, this.pathIcon, this.pathText);
    this.note = h('p', { class: 'tile-note', hidden: true });
    this.element = h('div', { class: 'tile', role: 'group', 'aria-label': name }, this.video, this.avatar, this.note,
      h('div', { class: 'tile-bar' }, this.microphone, this.label, this.path));
    if (self) {
      this.element.dataset.self = '';
      say(this.label, 'call.you');
    } else {
      this.label.textContent = name;
    }
  }

  /** What this tile plays. A stream whose video is not `shown` is heard only. */
  play(stream, { shown, muted, screen }) {
    if (this.video.srcObject !== stream) this.video.srcObject = stream;
    this.element.toggleAttribute('data-picture', shown);
    this.element.toggleAttribute('data-screen', Boolean(screen));
    this.microphone.toggleAttribute('hidden', !muted);
  }

  setPath({ path, rtt }) {
    if (!path) return; // until there is one again, this was the last
    this.element.dataset.path = path;
    if (rtt !== null) this.element.dataset.rtt = String(rtt);
    const [kind, protocol] = path.split('-');
    setIcon(this.path, kind);
    const where = `path.${protocol ?? kind}`;
    say(this.pathText, rtt === null ? 'path.only' : 'path.rtt', { path: () => t(where), rtt: rtt < 1 ? '<1' : rtt });
    this.path.hidden = false;
  }

  /** Shows a sentence over the picture; no key takes it away. */
  setNote(key, params) {
    this.note.hidden = !key;
    say(this.note, key, params);
  }
}

function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0]).join('').toUpperCase() || '?';
}

/** Keeps the tiles of a container as large as they can all be. */
export class Grid {
  constructor(container) {
    this.container = container;
    this.observer = new ResizeObserver(() => this.arrange());
    this.observer.observe(container);
  }

  add(tile) {
    this.container.append(tile.element);
    this.arrange();
  }

  remove(tile) {
    tile.element.remove();
    this.arrange();
  }

  close() {
    this.observer.disconnect();
    this.container.replaceChildren();
  }

  arrange() {
    const tiles = this.container.childElementCount;
    // Two people look at each other: one's own picture then moves to a corner.
    this.container.toggleAttribute('data-pair', tiles === 2);
    const shown = tiles === 2 ? 1 : tiles;
    if (!shown) return;
    const { clientWidth: width, clientHeight: height } = this.container;
    let best = { columns: 1, area: 0 };
    for (let columns = 1; columns <= shown; columns++) {
      const rows = Math.ceil(shown / columns);
      const w = (width - GAP * (columns - 1)) / columns;
      const rowHeight = (height - GAP * (rows - 1)) / rows;
      const area = Math.min(w, rowHeight * WIDEST) * Math.min(rowHeight, w);
      if (area > best.area) best = { columns, area };
    }
    this.#place(best.columns, shown);
  }

  // Each tile takes two tracks, so that a last row that isn't full can stand in the middle.
  #place(columns, shown) {
    const { style } = this.container;
    style.setProperty('--columns', String(columns * 2));
    style.setProperty('--rows', String(Math.ceil(shown / columns)));
    const inLastRow = shown % columns || columns;
    const firstOfLastRow = this.container.childElementCount - inLastRow;
    for (const [index, element] of [...this.container.children].entries()) {
      element.style.gridColumnStart = index === firstOfLastRow ? String(columns - inLastRow + 1) : '';
    }
  }
}
