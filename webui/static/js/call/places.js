// Where tiles are: large what is pinned, or else the screens of others; the rest beside or under
// them.
import { byId } from '../dom.js';

// What is beyond the shape of a camera's picture, or less than a square, shows nobody more. Of a
// screen, nothing may be cut off.
const WIDEST = 16 / 9;
const PEOPLE = 1;
const SCREENS = WIDEST;
const GAP = 8;

export class Places {
  #all = byId('tiles');
  #screens = new Grid(byId('screens'), SCREENS);
  #people = new Grid(byId('people'), PEOPLE);
  #tiles = [];
  #pinned = null;

  add(tile) {
    this.#tiles.push(tile);
    tile.onpin = () => this.#pin(tile);
    this.#arrange();
  }

  remove(tile) {
    this.#tiles = this.#tiles.filter((other) => other !== tile);
    if (tile === this.#pinned) this.#pinned = null;
    tile.element.remove();
    this.#arrange();
  }

  close() {
    this.#tiles = [];
    this.#pinned = null;
    for (const grid of [this.#screens, this.#people]) grid.close();
    this.#arrange();
  }

  #pin(tile) {
    this.#pinned = tile === this.#pinned ? null : tile;
    for (const other of this.#tiles) other.showPinned(other === this.#pinned);
    this.#arrange();
  }

  // One's own screen needs no more room than a person: the visitor sees it elsewhere. One's own
  // tile is the last: everybody looks at the others.
  #arrange() {
    const large = this.#tiles.filter((tile) => (this.#pinned ? tile === this.#pinned : tile.isScreen && !tile.own));
    const small = this.#tiles.filter((tile) => !large.includes(tile)).sort((a, b) => Boolean(a.self) - Boolean(b.self));
    this.#screens.hold(large);
    this.#people.hold(small);
    const { count } = this.#screens;
    this.#screens.container.hidden = !count;
    this.#people.pairs = !count;
    this.#all.toggleAttribute('data-shared', count > 0);
    this.#all.style.setProperty('--screens', String(count));
    for (const grid of [this.#screens, this.#people]) grid.arrange();
  }
}

/** Keeps the tiles of a container as large as they can all be. */
class Grid {
  pairs = false; // whether two tiles are two people who look at each other

  // `narrowest` is a shape: width by height.
  constructor(container, narrowest) {
    this.container = container;
    this.narrowest = narrowest;
    this.observer = new ResizeObserver(() => this.arrange());
    this.observer.observe(container);
  }

  get count() {
    return this.container.childElementCount;
  }

  /** Holds these tiles, and moves no more than need be: a video that is moved stops. */
  hold(tiles) {
    for (const [index, { element, video }] of tiles.entries()) {
      if (this.container.children[index] === element) continue;
      this.container.insertBefore(element, this.container.children[index] ?? null);
      video.play().catch(() => {}); // the stage asks for a gesture where one is needed
    }
  }

  close() {
    this.observer.disconnect();
    this.container.replaceChildren();
  }

  arrange() {
    // One's own picture then moves to a corner.
    const isPair = this.pairs && this.count === 2;
    this.container.toggleAttribute('data-pair', isPair);
    const shown = isPair ? 1 : this.count;
    if (!shown) return;
    const { clientWidth: width, clientHeight: height } = this.container;
    let best = { columns: 1, area: 0 };
    for (let columns = 1; columns <= shown; columns++) {
      const rows = Math.ceil(shown / columns);
      const w = (width - GAP * (columns - 1)) / columns;
      const rowHeight = (height - GAP * (rows - 1)) / rows;
      const area = Math.min(w, rowHeight * WIDEST) * Math.min(rowHeight, w / this.narrowest);
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
    const firstOfLastRow = this.count - inLastRow;
    for (const [index, element] of [...this.container.children].entries()) {
      element.style.gridColumnStart = index === firstOfLastRow ? String(columns - inLastRow + 1) : '';
    }
  }
}
