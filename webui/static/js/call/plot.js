// A minute of figures as lines on a canvas, in the colors of the page.

const SAMPLES = 60;
const ROOM = 16; // for the words above the lines
const COLORS = ['--accent', '--warn']; // which nobody takes for one another

/**
 * Draws lines of so many samples at most, null where nothing is known, from zero to the highest.
 * `words` writes that.
 */
export function plot(canvas, lines, { unit, least = 1, samples = SAMPLES, words = (most) => written(most, unit) }) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width) return;
  Object.assign(canvas, { width: width * devicePixelRatio, height: height * devicePixelRatio });
  const pen = canvas.getContext('2d');
  pen.scale(devicePixelRatio, devicePixelRatio);
  const style = getComputedStyle(canvas);
  const color = (name) => style.getPropertyValue(name);
  const highest = Math.max(least, ...lines.flat().filter((value) => value !== null));
  pen.font = `12px ${style.fontFamily}`;
  pen.fillStyle = color('--muted');
  pen.fillText(words(highest), 0, 11);
  pen.strokeStyle = color('--line');
  for (const y of [ROOM, height - 1]) stroke(pen, [[0, y], [width, y]]);
  pen.lineWidth = 2;
  pen.lineJoin = 'round';
  for (const [index, line] of lines.entries()) {
    pen.strokeStyle = color(COLORS[index]);
    const first = samples - line.length;
    const points = line.map((value, i) => value !== null && [
      (first + i) * width / (samples - 1), height - 2 - value / highest * (height - ROOM - 4)]);
    for (const part of parts(points)) stroke(pen, part.length === 1 ? spot(part[0]) : part);
  }
}

function written(value, unit) {
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

function stroke(pen, points) {
  pen.beginPath();
  for (const [x, y] of points) pen.lineTo(x, y);
  pen.stroke();
}

// What is known of one moment only is seen, too.
function spot([x, y]) {
  return [[x - 2, y], [x + 2, y]];
}

// A line is broken where nothing is known.
function parts(points) {
  const all = [[]];
  for (const point of points) {
    if (point) all.at(-1).push(point);
    else all.push([]);
  }
  return all;
}
