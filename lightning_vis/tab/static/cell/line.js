// The line of one image over time: how sure the answer was at each look, and where it was wrong.

import { cssColour, fitCanvas } from "../page/dom.js";
import { errorOf, isWrong } from "../page/words.js";

const TALL = 86;
const MARGIN = { left: 4, right: 4, top: 16, bottom: 6 };

export function drawLine(canvas, { run, image, model, width }) {
  const { name, points } = lineOf(run, image);
  canvas.hidden = points.length < 2;
  if (canvas.hidden) return;
  fitCanvas(canvas, width, TALL);
  canvas.setAttribute("aria-label", `${name} over time, from ${points[0].value.toPrecision(2)} to ${points[points.length - 1].value.toPrecision(2)}`);
  const context = canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, TALL);
  const [low, high] = rangeOf(points);
  const first = model.positions[0];
  const last = Math.max(first + 1, model.positions[model.positions.length - 1]);
  const x = (steps) => MARGIN.left + ((steps - first) / (last - first)) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => TALL - MARGIN.bottom - ((value - low) / (high - low || 1)) * (TALL - MARGIN.top - MARGIN.bottom);
  context.fillStyle = cssColour("--quiet");
  context.font = "11px system-ui, sans-serif";
  context.fillText(`${name}, by steps; ${low} to ${Number(high.toPrecision(3))}; red: wrong`, 4, 11);
  stroke(context, cssColour(run.colour), points.map(({ steps, value }) => [x(steps), y(value)]));
  context.fillStyle = cssColour("--wrong");
  for (const { steps, value, wrong } of points) if (wrong) context.fillRect(x(steps) - 2, y(value) - 2, 4, 4);
  stroke(context, cssColour("--accent"), [[x(model.steps), MARGIN.top], [x(model.steps), TALL]]);
}

function rangeOf(points) {
  const values = points.map((point) => point.value);
  return [Math.min(0, ...values), Math.max(1, ...values)];
}

function lineOf(run, image) {
  const kinds = [
    ["probability of the label", (look) => look.per_image["answers/label"]?.[image]], ["probability of the answer", (look) => look.probability[image]],
    ["error, in spreads of the targets", (look) => errorOf(look, image)], ["IoU", (look) => look.per_image["answers/iou"]?.[image]],
  ];
  for (const [name, read] of kinds) {
    const points = run.looks.map((look) => ({ steps: look.steps, value: read(look), wrong: isWrong(run.inputs, look, image) === true })).filter(({ value }) => Number.isFinite(value));
    if (points.length) return { name, points };
  }
  return { name: "", points: [] };
}

function stroke(context, colour, points) {
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  points.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}
