// Boxes as [left, top, right, bottom] in shares of the image's sides: made, checked, said.

// A smaller drag is a click, and a smaller box might hold no pixel of the image.
const LEAST = 0.04;

const SIDES = ["left", "top", "right", "bottom"];

function within(value) {
  return Math.min(1, Math.max(0, value));
}

// Whether a box can be saved.
export function isBox(box) {
  return box.every(Number.isFinite) && box.every((each) => each >= 0 && each <= 1) && box[2] - box[0] >= LEAST && box[3] - box[1] >= LEAST;
}

// The box between two points [x, y], whichever way it was drawn; null for a click.
export function dragged(from, to) {
  const [x, y] = [0, 1].map((axis) => [within(from[axis]), within(to[axis])].sort((one, other) => one - other));
  const box = [x[0], y[0], x[1], y[1]];
  return isBox(box) ? box : null;
}

export function percents(box) {
  return box.map((each) => Math.round(100 * each));
}

export function said(box) {
  return percents(box).map((each, at) => `${SIDES[at]} ${each}\u00a0%`).join(", ");
}
