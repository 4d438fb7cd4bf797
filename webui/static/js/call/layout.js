// Where pictures are in a recording: screens large, with the people in a column beside them; people
// alone in a grid.

const WIDEST = 16 / 9;
const STRIP = 0.2; // of the width, beside screens

/** A rectangle {x, y, width, height} for each picture; `screens` says which are screens. */
export function layout(screens, width, height) {
  const large = screens.filter(Boolean).length;
  const small = screens.length - large;
  const strip = large && small ? Math.round(width * STRIP) : 0;
  const main = grid(large || small, 0, width - strip, height);
  const side = large ? column(small, width - strip, strip, height) : [];
  return screens.map((isScreen) => (isScreen || !large ? main : side).shift());
}

function grid(count, left, width, height) {
  let best = { area: 0, columns: 1 };
  for (let columns = 1; columns <= count; columns++) {
    const [w, h] = [width / columns, height / Math.ceil(count / columns)];
    const area = Math.min(w, h * WIDEST) * Math.min(h, w / WIDEST);
    if (area > best.area) best = { area, columns };
  }
  const { columns } = best;
  const rows = Math.ceil(count / columns);
  const [w, h] = [width / columns, height / rows];
  return Array.from({ length: count }, (_, n) => {
    const row = Math.floor(n / columns);
    const inRow = row === rows - 1 ? count - row * columns : columns;
    const indent = (columns - inRow) * w / 2; // a last row that isn't full stands in the middle
    return { x: left + indent + n % columns * w, y: row * h, width: w, height: h };
  });
}

function column(count, left, width, height) {
  const h = Math.min(height / count, width / WIDEST);
  return Array.from({ length: count }, (_, n) => ({ x: left, y: n * h, width, height: h }));
}
