// Film: each image over time; a row per image and run, columns thinned to the width. A click goes there.

import { Stops } from "../access/stops.js";
import { drawState } from "../picture/cell.js";
import { cssColour, element, elided, fitCanvas, heightOf, NO_MAPS, notesIn, pager, pressable, replace } from "../page/dom.js";
import { groupsOf } from "../runs/groups.js";
import { lookAt, partOf, thinned, whenAt, withMaps } from "../page/looks.js";
import { markOf } from "../runs/run_list.js";
import { answersOf, errorOf, explainedOf, explainsAnew, isWrong, spoken, truthOf } from "../page/words.js";
import { errorShare } from "../timeline/axes.js";

const [LEAST, MOST] = [72, 320]; // a tile fills the width as far as that goes
const HEADS = 120; // pixels of a stage that are not for tiles
const GAP = 4;
const LEFT = 92;
const PER_PAGE = 8;
const FAINT = 0.3;
const READING = "Faint: no look of this run at that moment; the one before it is repeated.";

export class Film {
  constructor(page) {
    this.page = page;
    this.body = element("div");
    this.notes = element("div");
    this.root = element("div", { className: "film" }, this.body, this.notes);
    this.stops = new Stops(this.root, ".times button, .left canvas");
    this.tile = document.createElement("canvas");
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
    const places = [...model.positions.keys()].filter((at) => seen.has(model.positions[at]) && at >= model.low && at <= model.high);
    this.columns = thinned(places.length, Math.max(2, Math.floor(width / (LEAST + GAP)))).map((at) => places[at]);
    this.side = Math.max(LEAST, Math.min(MOST, this.half(model), Math.floor(width / this.columns.length) - GAP));
    const groups = groupsOf(model, this.page.state);
    const count = Math.max(0, ...groups.map((group) => group.images.length));
    const pages = Math.max(1, Math.ceil(count / PER_PAGE));
    const first = Math.min(this.page.state.page, pages - 1) * PER_PAGE;
    const leaves = pages > 1 ? [pager(this.page, { pages, first, last: Math.min(count, first + PER_PAGE), count })] : [];
    this.groups = groups.map((group) => ({ ...group, images: group.images.slice(first, first + PER_PAGE) }));
    const images = this.groups.map((group) => [group.images, group.runs.map((run) => [run.name, run.colour, run.inputs?.key])]);
    const times = this.columns.map((at) => [at, model.positions[at], whenAt(model, at)]);
    const structure = JSON.stringify([model.probe, images, count, first, times, this.side, this.isRepeating(model)]);
    replace(this.body, structure, () => [...leaves, ...this.build(model)]);
    notesIn(this.notes, [...notes, ...this.outsideOf(model)], this.page);
    this.mark(model);
    this.stops.settle();
    this.paint(model);
  }

  // Two rows are seen at least.
  half({ runs }) {
    const tall = Math.max(...runs.map(({ inputs }) => (inputs ? inputs.size[0] / inputs.size[1] : 1)));
    return Math.floor((heightOf(this.page.stage) - HEADS) / 2 / tall);
  }

  updateEmpty(model) {
    const textContent = answersOf(model) || NO_MAPS;
    notesIn(this.notes, [], this.page);
    replace(this.body, `empty ${textContent}`, () => element("p", { className: "empty", textContent }));
  }

  build(model) {
    this.rows = [];
    this.heads = this.columns.map((at) => element("button", {
      type: "button", textContent: whenAt(model, at), title: `${whenAt(model, at)}: go there`, onclick: () => this.page.go(at),
    }));
    const head = element("div", { className: "times", role: "group", "aria-label": "moments: go there" }, element("span"), ...this.heads);
    for (const button of this.heads) button.style.width = `${this.side}px`;
    this.cursor = element("div", { className: "cursor" });
    const rows = this.groups.flatMap(({ images, runs }) => images.flatMap((image) => runs.map((run, at) => this.row(run, image, { isFirst: at === 0, isNamed: model.runs.length > 1 }))));
    const body = element("div", { className: "rows", role: "table", "aria-label": "each image over time, a row for each run" }, ...rows, this.cursor);
    const note = this.isRepeating(model) ? [element("p", { className: "quiet", textContent: READING })] : [];
    return [head, body, ...note];
  }

  partsOf(model) {
    return this.columns.flatMap((at) => model.runs.map((run) => partOf(lookAt(run.looks, model.positions[at]), model.view)));
  }

  isRepeating(model) {
    const looks = (run) => this.columns.map((at) => lookAt(run.looks, model.positions[at])).filter(Boolean);
    return model.runs.some((run) => new Set(looks(run)).size < looks(run).length);
  }

  // Of several runs each row has its run's name above it: colours alone tell few of them apart.
  row(run, image, { isFirst, isNamed }) {
    const name = truthOf(run.inputs, image);
    const called = `image ${image + 1}${name && `: ${name}`}`;
    const input = pressable(() => this.page.timeline.choose(image));
    input.setAttribute("aria-label", called);
    input.title = `${called}; press for its own line in the chart`;
    const photo = element("div", { className: "photo" }, input, element("span", { className: "badge", textContent: [image + 1, name].filter(Boolean).join(" · "), "aria-hidden": "true" }));
    const strip = element("canvas", { role: "cell", "aria-label": `image ${image + 1}, ${name && `${name}, `}run ${run.name}, over time: ${this.turnsOf(run, image)}`, onclick: (event) => this.onClick(event) });
    const mark = markOf(this.page, run.name);
    mark.title = run.name;
    this.rows.push({ run: run.name, image, strip, input: isFirst ? input : null, cells: [] });
    const left = element("div", { className: "left", role: "rowheader" }, isFirst ? photo : "", mark);
    return element("div", { className: isFirst ? "row first" : "row", role: "row", title: `${called}, ${run.name}` }, left, ...(isNamed ? [element("span", { className: "quiet small named", textContent: run.name, "aria-hidden": "true" })] : []), strip);
  }

  // What is answered in the columns, said where it turns.
  turnsOf(run, image) {
    const said = this.columns.map((at) => lookAt(run.looks, this.page.model.positions[at])).filter(Boolean).map((look) => [look.when, spoken(run.inputs, look, image)]);
    return said.filter(([, words], at) => at === 0 || words !== said[at - 1][1]).map(([when, words]) => `${when} ${words}`).join("; ");
  }

  onClick(event) {
    const column = Math.floor(event.offsetX / (this.side + GAP));
    if (this.columns[column] !== undefined) this.page.go(this.columns[column]);
  }

  mark(model) {
    const distance = (at) => Math.abs(at - model.index);
    const nearest = this.columns.reduce((best, at, column) => (distance(at) < distance(this.columns[best]) ? column : best), 0);
    const isInside = this.isInside(model);
    this.cursor.hidden = !isInside;
    this.cursor.style.left = `${LEFT + nearest * (this.side + GAP) - 3}px`;
    this.cursor.style.width = `${this.side + 6}px`;
    for (const row of this.rows) row.input?.setAttribute("aria-pressed", String(row.image === model.image));
    this.heads.forEach((head, column) => head.setAttribute("aria-current", String(isInside && column === nearest)));
  }

  outsideOf(model) {
    return this.isInside(model) ? [] : [`The moment shown, ${whenAt(model, model.index)}, lies outside of the part of the film that is zoomed into.`];
  }

  isInside({ index, low, high }) {
    return index >= low && index <= high;
  }

  // The strips change with the looks and the settings, not with the position: going through the film repaints nothing.
  paint(model) {
    const { state } = this.page;
    this.settings = [
      model.view?.key, state.mode, state.gain, state.opacity, state.photo, state.palette, state.outline, window.devicePixelRatio, document.documentElement.className,
    ].join();
    const states = this.rows.flatMap((row) => this.paintRow(row, model));
    this.root.setAttribute("aria-busy", String(states.includes("loading")));
    this.updateFailed(states.includes("failed"));
  }

  updateFailed(isFailed) {
    const found = this.root.querySelector(".again");
    if (!isFailed) return found?.remove();
    if (found) return undefined;
    return this.root.prepend(element("button", {
      type: "button", className: "again", textContent: "some pictures could not be had: again", onclick: () => this.page.again(),
    }));
  }

  paintRow(row, model) {
    const { painter, state } = this.page;
    const run = model.runs.find((each) => each.name === row.run);
    const [height, across] = run.inputs?.size || [1, 1];
    const tall = Math.round((this.side * height) / across);
    if (fitCanvas(row.strip, this.columns.length * (this.side + GAP), tall)) row.cells = [];
    fitCanvas(this.tile, this.side, tall);
    const states = row.input ? [this.paintInput(row, run, Math.round((LEAST * height) / across))] : [];
    let before = null;
    this.columns.forEach((at, column) => {
      const look = lookAt(run.looks, model.positions[at]);
      const part = partOf(look, model.view);
      const wanted = [part?.key, before?.key, run.inputs?.key, this.settings].join();
      const stands = row.cells[column] === `shown ${wanted}`; // what is painted needs its pictures no more
      const found = stands ? "shown" : part ? painter.stateOf([part, run.inputs, state.outline ? run.masks : null]) : look ? "mapless" : "missing";
      if (row.cells[column] !== `${found} ${wanted}`) this.paintCell(row, column, tall, { run, look, before, part, found, settings: state });
      row.cells[column] = `${found} ${wanted}`;
      states.push(found);
      if (part) before = part;
    });
    return states;
  }

  paintInput(row, run, tall) {
    const found = run.inputs ? this.page.painter.stateOf([run.inputs]) : "missing";
    if (fitCanvas(row.input, LEAST, tall)) row.isPainted = false;
    if (found === "shown" && !row.isPainted) row.isPainted = this.page.painter.paintPicture(row.input, run.inputs, row.image);
    return found;
  }

  // No look of this run at a moment: the one before it still stands, faint.
  paintCell(row, column, tall, { run, look, before, part, found, settings }) {
    const { painter } = this.page;
    const ratio = window.devicePixelRatio || 1;
    const context = row.strip.getContext("2d");
    const [left, width, gap] = [column * (this.side + GAP), this.side, GAP].map((each) => Math.round(each * ratio));
    context.clearRect(left - gap, 0, width + gap, row.strip.height); // the gap before it has its mark of a change
    const isRepeated = part === before;
    const shown = { inputs: run.inputs, part, index: row.image, masks: run.masks, settings };
    if (found !== "shown" || !painter.paintView(this.tile, shown)) {
      context.save();
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      drawState(context, found === "shown" ? "mapless" : found, { x: left / ratio, width: this.side, height: tall });
      return context.restore();
    }
    context.globalAlpha = isRepeated ? FAINT : 1;
    context.drawImage(this.tile, left, 0);
    context.globalAlpha = 1;
    if (!isRepeated) this.annotate(context, column, tall, { run, look, before, image: row.image, part, state: part.maximum ? painter.maps(part)?.[row.image]?.state : "" });
    return undefined;
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
