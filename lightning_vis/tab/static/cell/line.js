// The line of one image over time: how sure the answer was at each look, and where it was wrong.

import { cssColour, fitCanvas, put } from "../page/dom.js";
import { whenAt } from "../page/looks.js";
import { errorOf, isWrong } from "../page/words.js";

const TALL = 102;
const MARGIN = { left: 6, right: 6, top: 18, bottom: 20 };

export function drawLine(canvas, { run, image, model, width }) {
  const { name, points } = lineOf(run, image);
  canvas.hidden = points.length < 2;
  if (canvas.hidden) return;
  fitCanvas(canvas, width, TALL);
  const [low, high] = rangeOf(points);
  put(canvas, "aria-label", `${titleOf(name, low, high, points)}; over time, from ${whenAt(model, 0)} to ${whenAt(model, model.positions.length - 1)}: from ${points[0].value.toPrecision(2)} to ${points[points.length - 1].value.toPrecision(2)}`);
  const context = canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, TALL);
  const last = Math.max(1, model.positions.length - 1);
  const x = (steps) => MARGIN.left + (model.places.get(steps) / last) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => TALL - MARGIN.bottom - ((value - low) / (high - low || 1)) * (TALL - MARGIN.top - MARGIN.bottom);
  context.fillStyle = cssColour("--quiet");
  context.font = "11px system-ui, sans-serif";
  context.fillText(titleOf(name, low, high, points), 4, 11);
  context.fillText(whenAt(model, 0), 4, TALL - 5);
  context.textAlign = "right";
  context.fillText(whenAt(model, last), width - 4, TALL - 5);
  context.textAlign = "left";
  stroke(context, cssColour(run.colour), points.map(({ steps, value }) => [x(steps), y(value)]));
  for (const { steps, value, wrong } of points) if (wrong) cross(context, x(steps), y(value));
  stroke(context, cssColour("--accent"), [[x(model.steps), MARGIN.top], [x(model.steps), TALL - MARGIN.bottom]]);
}

// Wrong is spoken of only where somebody knows it.
function titleOf(name, low, high, points) {
  const number = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
  return `${name}; ${number(low)} to ${number(high)}${points.some(({ wrong }) => wrong !== null) ? "; ✗: wrong" : ""}`;
}

// A sign, for a run may be red itself; with the ground around it, so that it stands out from the line.
function cross(context, x, y) {
  const arms = [[[x - 3, y - 3], [x + 3, y + 3]], [[x - 3, y + 3], [x + 3, y - 3]]];
  for (const arm of arms) stroke(context, cssColour("--ground"), arm, 5);
  for (const arm of arms) stroke(context, cssColour("--wrong"), arm);
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
    const points = run.looks.map((look) => ({ steps: look.steps, value: read(look), wrong: isWrong(run.inputs, look, image) })).filter(({ value }) => Number.isFinite(value));
    if (points.length) return { name, points };
  }
  return { name: "", points: [] };
}

function stroke(context, colour, points, width = 2) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  points.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}
