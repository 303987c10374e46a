// Draws the timeline's chart. `place` says where things stand: x of a look, y of a value, the right end.

import { cssColour, element, elided, fitCanvas, isFlowing } from "../page/dom.js";
import { whenAt } from "../page/looks.js";
import { Latest } from "../picture/cache.js";
import { DASHES, shortNames } from "../runs/marks.js";
import { alertAt } from "./alerts.js";
import { valueAt } from "./scalars.js";

const [TALL, LOW, LEAST] = [116, 92, 76]; // pixels; in a low or narrow window the pictures need the room more
const LINE = 14; // pixels from label to label
const FEW = 60; // values of a line, up to which each is a point too
const MARGIN = { left: 64, right: 150, top: 12, bottom: 20 };

// Series are { run, points, behind }: a run's line and, where that is one image's, that of all images, drawn faint behind it.
// From step to step only what stands at the moment is drawn anew: ten lines of 300 values cost more than all tiles of ten runs.
export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.lines = new Latest();
  }

  draw(width, { model, series, scale, hasOther }) {
    const height = isFlowing() ? LEAST : window.innerHeight < 760 ? LOW : TALL;
    fitCanvas(this.canvas, width, height);
    const place = placeIn(width, height, model, scale);
    const parts = [width, height, window.devicePixelRatio, coloursOf(model.runs), series, model.positions, model.low, model.high, model.isByStep];
    const lines = this.lines.of(parts, () => linesOf(this.canvas, place, { model, series, scale }));
    const context = scaledContext(this.canvas);
    context.clearRect(0, 0, width, height);
    context.drawImage(lines, 0, 0, width, height);
    inPlot(context, place, () => drawMoments(context, place, { model, series, hasOther }));
    drawLabels(context, place, series, model, scale, width);
    return place;
  }
}

// What stands there at any moment, on a canvas of its own.
function linesOf({ width, height }, place, { model, series, scale }) {
  const canvas = element("canvas", { width, height });
  const context = scaledContext(canvas);
  drawAxes(context, place, scale);
  drawTimes(context, place, model);
  inPlot(context, place, () => {
    for (const { run, behind } of series) drawLine(context, place, run, behind, 0.4);
    for (const { run, points } of series) drawLine(context, place, run, points, 1);
    for (const { run, points } of series) if (points.length <= FEW) drawPoints(context, place, run, points);
    for (const run of model.runs) drawAlert(context, place, run, model);
  });
  return canvas;
}

function drawMoments(context, place, { model, series, hasOther }) {
  for (const { run, points } of series) drawDot(context, place, run, points, model);
  if (hasOther) drawCursor(context, place, model.other, { colour: "--focus", name: "B", dash: [5, 3] });
  drawCursor(context, place, model.index, { colour: "--accent", name: hasOther ? "A" : "", dash: [] });
}

function scaledContext(canvas) {
  const context = canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = "12px system-ui, sans-serif";
  return context;
}

// Lines may leave the plot at its sides, by as much as a point is wide.
function inPlot(context, place, draw) {
  context.save();
  context.beginPath();
  context.rect(MARGIN.left - 5, 0, place.right - MARGIN.left + 10, place.height);
  context.clip();
  draw();
  context.restore();
}

// All colours of a theme that lines are drawn with, as one text.
function coloursOf(runs) {
  return ["--line", "--quiet", ...runs.map((run) => run.colour)].map(cssColour).join();
}

// The look that is nearest to a place on the canvas.
export function lookUnder(x, place, model) {
  return Math.round(model.low + ((x - MARGIN.left) / (place.right - MARGIN.left)) * (model.high - model.low));
}

function placeIn(width, height, model, scale) {
  const span = Math.max(1, model.high - model.low);
  return {
    x: (at) => MARGIN.left + ((at - model.low) / span) * (width - MARGIN.left - MARGIN.right),
    y: (value) => height - MARGIN.bottom - scale.share(value) * (height - MARGIN.top - MARGIN.bottom),
    right: width - MARGIN.right, height,
  };
}

function drawAxes(context, place, scale) {
  context.lineWidth = 1;
  context.textAlign = "right";
  for (const { value, text, isChance } of scale.ticks) {
    context.strokeStyle = cssColour(isChance ? "--quiet" : "--line");
    context.setLineDash(isChance ? [4, 3] : []);
    context.beginPath();
    context.moveTo(MARGIN.left, Math.round(place.y(value)) + 0.5);
    context.lineTo(place.right, Math.round(place.y(value)) + 0.5);
    context.stroke();
    context.fillStyle = cssColour("--quiet");
    context.fillText(text, MARGIN.left - 8, place.y(value) + 4);
  }
  context.setLineDash([]);
}

function drawTimes(context, { x, right, height }, model) {
  context.fillStyle = cssColour("--quiet");
  context.textAlign = "left";
  let free = -Infinity;
  const last = model.high;
  const end = context.measureText(whenAt(model, last)).width;
  model.positions.forEach((_, at) => {
    if (at < model.low || at > last) return;
    const text = whenAt(model, at);
    const wide = context.measureText(text).width;
    const left = Math.min(x(at) - (at === model.low ? 0 : wide / 2), right - wide);
    if (at !== last && (left < free || left + wide > right - end - 12)) return;
    context.fillText(text, left, height - 5);
    free = left + wide + 16;
  });
}

function drawLine(context, { x, y }, run, points, alpha) {
  context.globalAlpha = alpha;
  context.strokeStyle = cssColour(run.colour);
  context.lineWidth = alpha < 1 ? 1.5 : 2;
  context.lineJoin = "round";
  context.setLineDash(DASHES[(run.number || 0) % DASHES.length]);
  context.beginPath();
  points.forEach(([at, value], index) => (index ? context.lineTo(x(at), y(value)) : context.moveTo(x(at), y(value))));
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

// Each value as a point: a line across looks that were not taken must not pass for values.
function drawPoints(context, { x, y }, run, points) {
  context.fillStyle = cssColour(run.colour);
  for (const [at, value] of points) {
    context.beginPath();
    context.arc(x(at), y(value), 2.5, 0, 2 * Math.PI);
    context.fill();
  }
}

function drawDot(context, { x, y }, run, points, model) {
  const now = valueAt(points, model.index);
  if (now === null) return;
  context.fillStyle = cssColour(run.colour);
  context.beginPath();
  context.arc(x(model.index), y(now), 4, 0, 2 * Math.PI);
  context.fill();
}

function drawAlert(context, place, run, model) {
  const look = run.looks.find((each) => alertAt(each) >= 0.5);
  if (!look) return;
  const x = place.x(model.places.get(look.steps));
  context.fillStyle = cssColour(run.colour);
  context.beginPath();
  context.moveTo(x - 6, 0);
  context.lineTo(x + 6, 0);
  context.lineTo(x, 10);
  context.fill();
}

function drawCursor(context, place, at, { colour, name, dash }) {
  const x = Math.round(place.x(at)) + 0.5;
  context.strokeStyle = context.fillStyle = cssColour(colour);
  context.lineWidth = 2;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(x, 0);
  context.lineTo(x, place.height - MARGIN.bottom);
  context.stroke();
  context.setLineDash([]);
  context.textAlign = "left";
  if (name) context.fillText(name, x + 4, 11);
}

function drawLabels(context, place, series, model, scale, width) {
  context.textAlign = "left";
  const room = Math.max(1, Math.floor(place.height / LINE));
  const known = series.map(({ run, points }) => ({ run, value: valueAt(points, model.index) })).filter(({ value }) => value !== null);
  const labels = known.slice(0, known.length > room ? room - 1 : room)
    .map((each) => ({ ...each, at: place.y(each.value) + 4 })).sort((one, other) => one.at - other.at);
  labels.forEach((label, index) => {
    if (index) label.at = Math.max(label.at, labels[index - 1].at + LINE);
  });
  const last = labels[labels.length - 1]?.at || 0;
  const over = Math.max(0, last - (place.height - 4 - (labels.length < known.length ? LINE : 0)));
  labels.reduceRight((below, label) => (label.at = Math.min(label.at, below - LINE)), last - over + LINE);
  const names = shortNames(model.runs.map((run) => run.name));
  for (const { run, value, at } of labels) {
    context.fillStyle = cssColour(run.colour);
    const text = `${scale.say(value)} ${run.number ? `${run.number + 1}▪ ` : ""}${names.get(run.name)}`;
    context.fillText(elided(context, text, width - place.right - 12), place.right + 8, at);
  }
  context.fillStyle = cssColour("--quiet");
  if (labels.length < known.length) context.fillText(`and ${known.length - labels.length} more`, place.right + 8, place.height - 4);
}
