// Where tiles are: the screens of others large, and the people beside or under them.
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

  /** The visitor's own tile is the last: everybody looks at the others. */
  add(tile) {
    const { container } = this.#people;
    container.insertBefore(tile.element, container.querySelector('[data-self]'));
    this.#arrange();
  }

  /** One's own screen needs no more room than a person: the visitor sees it elsewhere. */
  addScreen(tile) {
    (tile.own ? this.#people : this.#screens).container.append(tile.element);
    this.#arrange();
  }

  remove(tile) {
    tile.element.remove();
    this.#arrange();
  }

  close() {
    for (const grid of [this.#screens, this.#people]) grid.close();
    this.#arrange();
  }

  #arrange() {
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
