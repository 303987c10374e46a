// Film: each image over time; a row per image and run, columns thinned to the width. A click goes there.

import { cssColour, element, elided, fitCanvas, NO_MAPS, noteOf, pager, pressable, replace } from "../page/dom.js";
import { lookAt, partOf, thinned, whenAt, withMaps } from "../page/looks.js";
import { answersOf, errorOf, explainedOf, explainsAnew, isWrong, truthOf } from "../page/words.js";
import { errorShare } from "../timeline/axes.js";

const [LEAST, MOST] = [72, 112]; // a tile fills the width as far as that goes
const GAP = 4;
const LEFT = 92;
const PER_PAGE = 8;
const FAINT = 0.3;
const READING = "Faint: no look of this run at that moment; the one before it is repeated.";

export class Film {
  constructor(page) {
    this.page = page;
    this.root = element("div", { className: "film" });
    this.tile = document.createElement("canvas");
    this.isAsked = 0;
  }

  ready() {
    return Promise.resolve();
  }

  update(model) {
    if (!model.views.length) return this.updateEmpty(model);
    const { shown, notes } = withMaps(model);
    this.show(shown, notes);
  }

  show(model, notes) {
    const width = (this.root.clientWidth || this.page.stage.clientWidth) - LEFT - 2;
    const seen = new Set(model.runs.flatMap((run) => run.looks.map((look) => look.steps)));
    const places = [...model.positions.keys()].filter((at) => seen.has(model.positions[at]));
    this.columns = thinned(places.length, Math.max(2, Math.floor(width / (LEAST + GAP)))).map((at) => places[at]);
    this.side = Math.max(LEAST, Math.min(MOST, Math.floor(width / this.columns.length) - GAP));
    const pages = Math.max(1, Math.ceil(model.count / PER_PAGE));
    const first = Math.min(this.page.state.page, pages - 1) * PER_PAGE;
    this.images = [...Array(Math.min(PER_PAGE, model.count - first)).keys()].map((at) => first + at);
    const times = this.columns.map((at) => [at, model.positions[at], whenAt(model, at)]);
    const structure = JSON.stringify([model.probe, this.images, times, notes, model.runs.map((run) => [run.name, run.inputs?.key]), this.side, this.isRepeating(model)]);
    replace(this.root, structure, () => [...this.build(model, pages), ...notes.map(noteOf)]);
    this.mark(model);
    this.paint(model);
  }

  updateEmpty(model) {
    this.shows = null;
    const textContent = answersOf(model) || NO_MAPS;
    replace(this.root, `empty ${textContent}`, () => element("p", { className: "empty", textContent }));
  }

  build(model, pages) {
    this.rows = [];
    this.heads = this.columns.map((at) => element("button", {
      type: "button", textContent: whenAt(model, at), title: `${whenAt(model, at)}: go there`, onclick: () => this.page.go(at),
    }));
    const head = element("div", { className: "times" }, element("span"), ...this.heads);
    for (const button of this.heads) button.style.width = `${this.side}px`;
    this.cursor = element("div", { className: "cursor" });
    const rows = this.images.flatMap((image) => model.runs.map((run, at) => this.row(run, image, at === 0)));
    const body = element("div", { className: "rows" }, ...rows, this.cursor);
    const note = this.isRepeating(model) ? [element("p", { className: "quiet", textContent: READING })] : [];
    return [...(pages > 1 ? [pager(this.page, model, pages, this.images)] : []), head, body, ...note];
  }

  partsOf(model) {
    return this.columns.flatMap((at) => model.runs.map((run) => partOf(lookAt(run.looks, model.positions[at]), model.view)));
  }

  isRepeating(model) {
    const looks = (run) => this.columns.map((at) => lookAt(run.looks, model.positions[at])).filter(Boolean);
    return model.runs.some((run) => new Set(looks(run)).size < looks(run).length);
  }

  row(run, image, isFirst) {
    const name = truthOf(run.inputs, image) || `image ${image + 1}`;
    const input = pressable(() => this.page.timeline.choose(image));
    input.setAttribute("aria-label", `image ${image + 1}: ${name}`);
    input.title = "its own line in the chart";
    const strip = element("canvas", { role: "img", "aria-label": `image ${image + 1}, ${name}, run ${run.name}, over time`, onclick: (event) => this.onClick(event) });
    const mark = element("span", { className: "mark", title: run.name });
    mark.style.background = `var(${run.colour})`;
    this.rows.push({ run: run.name, image, strip, input: isFirst ? input : null });
    const left = element("div", { className: "left" }, isFirst ? input : "", mark);
    return element("div", { className: isFirst ? "row first" : "row", title: `${name}, ${run.name}` }, left, strip);
  }

  onClick(event) {
    const column = Math.floor(event.offsetX / (this.side + GAP));
    if (this.columns[column] !== undefined) this.page.go(this.columns[column]);
  }

  mark(model) {
    const distance = (at) => Math.abs(at - model.index);
    const nearest = this.columns.reduce((best, at, column) => (distance(at) < distance(this.columns[best]) ? column : best), 0);
    this.cursor.style.left = `${LEFT + nearest * (this.side + GAP) - 3}px`;
    this.cursor.style.width = `${this.side + 6}px`;
    for (const row of this.rows) row.input?.setAttribute("aria-pressed", String(row.image === model.image));
    this.heads.forEach((head, column) => head.setAttribute("aria-current", String(column === nearest)));
  }

  async paint(model) {
    const asked = (this.isAsked += 1);
    const isDone = this.paintRows(model);
    this.root.setAttribute("aria-busy", String(!isDone));
    if (isDone) return;
    const inputs = model.runs.flatMap((run) => [run.inputs, this.page.state.outline ? run.masks : null]);
    await this.page.painter.ready([...inputs, ...this.partsOf(model)].filter(Boolean));
    if (asked !== this.isAsked) return;
    this.paintRows(model);
    this.root.setAttribute("aria-busy", "false");
  }

  // The strips change with the looks and the settings, not with the position: going through the film repaints nothing.
  paintRows(model) {
    const { state } = this.page;
    const shows = JSON.stringify([
      this.root.dataset.shows, model.view?.key, this.partsOf(model).map((part) => part?.key), state.mode, state.gain, state.opacity, state.photo, state.palette, state.outline,
      window.devicePixelRatio, document.documentElement.className,
    ]);
    if (this.shows === shows) return true;
    const done = this.rows.map((row) => this.paintRow(row, model));
    const isDone = done.every(Boolean);
    this.shows = isDone ? shows : null;
    return isDone;
  }

  paintRow(row, model) {
    const { painter, state } = this.page;
    const run = model.runs.find((each) => each.name === row.run);
    const [height, across] = run.inputs?.size || [1, 1];
    const tall = Math.round((this.side * height) / across);
    fitCanvas(row.strip, this.columns.length * (this.side + GAP), tall);
    fitCanvas(this.tile, this.side, tall);
    let isDone = true;
    if (row.input) {
      fitCanvas(row.input, LEAST, Math.round((LEAST * height) / across));
      isDone = !run.inputs || painter.paintPicture(row.input, run.inputs, row.image);
    }
    const context = row.strip.getContext("2d");
    context.clearRect(0, 0, row.strip.width, row.strip.height);
    let before = null;
    this.columns.forEach((at, column) => {
      const look = lookAt(run.looks, model.positions[at]);
      const part = partOf(look, model.view);
      if (!part) return;
      const painted = painter.paintView(this.tile, { inputs: run.inputs, part, index: row.image, masks: run.masks, settings: state });
      isDone = painted && isDone;
      if (!painted) return;
      const isRepeated = part === before; // no look of this run at that moment: the one before it still stands
      context.globalAlpha = isRepeated ? FAINT : 1;
      context.drawImage(this.tile, Math.round(column * (this.side + GAP) * (window.devicePixelRatio || 1)), 0);
      context.globalAlpha = 1;
      if (!isRepeated) this.annotate(context, column, tall, { run, look, before, image: row.image, part, state: part.maximum ? painter.maps(part)[row.image]?.state : "" });
      before = part;
    });
    return isDone;
  }

  // A cross where the answer is wrong; the new name where something else is explained than in the column before; the error as a bar.
  annotate(context, column, tall, { run, look, before, image, part, state }) {
    const ratio = window.devicePixelRatio || 1;
    context.save();
    context.setTransform(ratio, 0, 0, ratio, Math.round(column * (this.side + GAP) * ratio), 0);
    if (isWrong(run.inputs, look, image)) drawCross(context, this.side);
    if (Number.isFinite(errorOf(look, image))) drawError(context, errorOf(look, image), this.side, tall);
    context.font = "11px system-ui, sans-serif";
    if (state) drawLabel(context, state, 2, 2, this.side);
    if (explainsAnew(part, before, image)) {
      context.fillStyle = cssColour("--accent");
      if (before) context.fillRect(-3, 0, 2, tall);
      drawLabel(context, explainedOf(run.inputs, part, image), 0, tall - 16, this.side);
    }
    context.restore();
  }
}

function drawCross(context, width) {
  const [x, y, side] = [width - 15, 5, 9];
  for (const [width, colour] of [[5, "#000a"], [2.5, "#ff8a4c"]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + side, y + side);
    context.moveTo(x + side, y);
    context.lineTo(x, y + side);
    context.stroke();
  }
}

// From two spreads of the targets too low to two too high, from the line in the middle.
function drawError(context, error, side, tall) {
  const at = errorShare(error) * side;
  context.fillStyle = "#181a1ee0";
  context.fillRect(0, tall - 9, side, 9);
  context.fillStyle = "#a4a8b0";
  context.fillRect(side / 2 - 0.5, tall - 9, 1, 9);
  context.fillStyle = "#ececec";
  context.fillRect(Math.min(at, side / 2), tall - 6, Math.abs(at - side / 2), 3);
  context.fillRect(Math.min(side - 2, Math.max(0, at - 1)), tall - 8, 2, 7);
}

function drawLabel(context, text, x, y, width) {
  const short = elided(context, text, width - 8);
  context.fillStyle = "#181a1ee0";
  context.fillRect(x, y, context.measureText(short).width + 7, 16);
  context.fillStyle = "#ececec";
  context.fillText(short, x + 3, y + 12);
}
