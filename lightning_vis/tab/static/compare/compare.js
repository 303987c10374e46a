// Compare: all images at one moment; the inputs above, a row per run below.

import { element, fitCanvas, NO_MAPS, noteOf, pager, pressable, replace } from "../page/dom.js";
import { lookAt, partOf, withMaps } from "../page/looks.js";
import { answersOf, errorOf, quantityOf, truthOf } from "../page/words.js";
import { clear, describe, fillHead, fillTile, NARROW } from "./tiles.js";

const PER_PAGE = 8;
const SIDE = 220;
const LABELS = 158;
const GAP = 8;
const LEAST = 112; // tiles become smaller so that all rows are seen at once, but no smaller than this
const CAPTION = 20;
const NOTES = 30;
const [WORDS, LONG] = [17, 18]; // a second line of a caption, and from how many letters on there is one
const SPREAD = 9; // the bar of an error
const [MEASURES, STACKED] = [25, 40]; // what is written below a caption, on one line or, below narrow tiles, on two

export class Compare {
  constructor(page) {
    this.page = page;
    this.root = element("div", { className: "compare" });
    this.tiles = [];
    this.isAsked = 0;
  }

  ready(index) {
    return this.page.painter.ready(this.partsAt(this.page.model, index));
  }

  partsAt(model, index) {
    const steps = model.positions[Math.min(index, model.positions.length - 1)];
    return model.runs.map((run) => partOf(lookAt(run.looks, steps), model.view)).filter(Boolean);
  }

  update(model) {
    if (!model.views.length) return this.updateEmpty(model);
    const { shown, notes } = withMaps(model);
    this.show(shown, notes);
  }

  show(model, notes) {
    this.isNoted = notes.length > 0;
    const pages = Math.max(1, Math.ceil(model.count / PER_PAGE));
    const first = Math.min(this.page.state.page, pages - 1) * PER_PAGE;
    const images = [...Array(Math.min(PER_PAGE, model.count - first)).keys()].map((at) => first + at);
    const structure = JSON.stringify([model.probe, images, pages, model.runs.map((run) => [run.name, run.colour, run.inputs?.key]), notes]);
    replace(this.root, structure, () => [...this.build(model, images, pages), ...notes.map(noteOf)]);
    this.fit(model);
    this.fill(model);
    this.paint(model);
  }

  updateEmpty(model) {
    this.tiles = [];
    const textContent = answersOf(model) || NO_MAPS;
    replace(this.root, `empty ${textContent}`, () => element("p", { className: "empty", textContent }));
  }

  build(model, images, pages) {
    this.tiles = [];
    this.images = images;
    const grid = element("div", { className: "grid" });
    const withInputs = model.runs.find((run) => run.inputs);
    if (withInputs) grid.append(...this.inputRow(withInputs, images));
    for (const run of model.runs) grid.append(...this.runRow(run, images));
    return pages > 1 ? [pager(this.page, model, pages, images), grid] : [grid];
  }

  inputRow(run, images) {
    const head = element("div", { className: "head" }, element("span", { className: "quiet", textContent: "input" }));
    return [head, ...images.map((image) => {
      const name = truthOf(run.inputs, image) || `image ${image + 1}`;
      const canvas = this.picture(image);
      canvas.setAttribute("aria-label", `image ${image + 1}: ${name}`);
      this.tiles.push({ kind: "input", run: run.name, image, canvas });
      return element("figure", {}, canvas, element("figcaption", { title: name }, element("span", { className: "name", textContent: name })));
    })];
  }

  // Pressed, it brings the image's own line to the chart.
  picture(image) {
    const canvas = pressable(() => this.page.timeline.choose(image));
    canvas.title = "its own line in the chart";
    return canvas;
  }

  runRow(run, images) {
    const title = element("strong", { textContent: run.name, title: run.name });
    const facts = element("div", { className: "facts" });
    const head = element("div", { className: "head" }, element("div", { className: "run" }, title, facts));
    head.firstChild.style.borderColor = `var(${run.colour})`;
    this.tiles.push({ kind: "head", run: run.name, facts });
    return [head, ...images.map((image) => this.tile(run, image))];
  }

  tile(run, image) {
    const canvas = this.picture(image);
    const state = element("span", { className: "state" });
    const name = element("span", { className: "name" });
    const probability = element("span", { className: "quiet number", title: "probability of the predicted class" });
    const fill = element("i");
    const bar = element("div", { className: "lift", "aria-hidden": "true" }, fill, element("b"));
    fill.style.background = `var(${run.colour})`;
    const lift = element("span");
    const half = element("span");
    const errorFill = element("i");
    errorFill.style.background = `var(${run.colour})`;
    const error = element("div", { className: "lift spread", role: "img" }, errorFill, element("b"));
    const caption = element("figcaption", {}, name, probability);
    const measures = element("div", { className: "measures" }, lift, half);
    this.tiles.push({ kind: "map", run: run.name, image, canvas, state, name, probability, fill, bar, lift, half, caption, measures, error, errorFill });
    return element("figure", {}, element("div", { className: "picture" }, canvas, state), caption, error, bar, measures);
  }

  fit(model) {
    const columns = this.images.length;
    const room = (this.root.clientWidth || this.page.stage.clientWidth) - LABELS - columns * GAP - 2;
    const wide = Math.min(SIDE, Math.floor(room / Math.max(1, columns)));
    const one = Math.min(wide, this.widthFor(model, MEASURES));
    const width = Math.max(48, one < NARROW ? Math.min(wide, NARROW - 1, Math.max(LEAST, this.widthFor(model, STACKED))) : one);
    this.arrange(width < NARROW);
    this.root.querySelector(".grid").style.gridTemplateColumns = `${LABELS}px repeat(${columns}, ${width}px)`;
    for (const tile of this.tiles) {
      if (!tile.canvas) continue;
      const run = model.runs.find((each) => each.name === tile.run);
      const [height, across] = run.inputs?.size || [1, 1];
      fitCanvas(tile.canvas, width, Math.round((width * height) / across));
    }
  }

  // How wide tiles may be so that all rows are seen at once.
  widthFor(model, measures) {
    const rows = [...(model.runs.some((run) => run.inputs) ? [CAPTION] : []), ...model.runs.map((run) => CAPTION + wordsOf(run) + measures)];
    const tall = (this.page.stage.clientHeight - 24 - (this.isNoted ? NOTES : 0) - rows.reduce((sum, each) => sum + each + GAP, 0)) / Math.max(1, rows.length);
    const ratio = Math.max(...model.runs.map((run) => (run.inputs ? run.inputs.size[0] / run.inputs.size[1] : 1)));
    return Math.floor(tall / ratio);
  }

  // Below a narrow tile a name has a line of its own.
  arrange(isNarrow) {
    if (this.isNarrow === isNarrow && this.tiles.every((tile) => !tile.caption || tile.isArranged)) return;
    this.isNarrow = isNarrow;
    this.root.classList.toggle("narrow", isNarrow);
    for (const tile of this.tiles.filter((each) => each.caption)) {
      if (isNarrow) tile.measures.prepend(tile.probability, tile.half);
      else {
        tile.caption.append(tile.probability);
        tile.measures.append(tile.half);
      }
      tile.isArranged = true;
    }
  }

  fill(model) {
    for (const tile of this.tiles) {
      tile.canvas?.setAttribute("aria-pressed", String(tile.image === model.image));
      const run = model.runs.find((each) => each.name === tile.run);
      const look = lookAt(run.looks, model.steps);
      if (tile.kind === "head") fillHead(tile, run, look, { key: model.view?.key, steps: model.steps });
      if (tile.kind === "map") fillTile(tile, run, look, model.view);
    }
  }

  // Paints at once what is there, and the rest as soon as it has come.
  async paint(model) {
    const asked = (this.isAsked += 1);
    const isDone = this.paintTiles(model);
    this.root.setAttribute("aria-busy", String(!isDone));
    if (isDone) return;
    const inputs = model.runs.flatMap((run) => [run.inputs, this.page.state.outline ? run.masks : null]);
    await this.page.painter.ready([...inputs, ...this.partsAt(model, model.index)].filter(Boolean));
    if (asked !== this.isAsked) return;
    this.paintTiles(model);
    this.root.setAttribute("aria-busy", "false");
  }

  paintTiles(model) {
    const { painter, state } = this.page;
    let isDone = true;
    for (const tile of this.tiles) {
      if (!tile.canvas) continue;
      const run = model.runs.find((each) => each.name === tile.run);
      if (tile.kind === "input") {
        isDone = painter.paintPicture(tile.canvas, run.inputs, tile.image, state.outline ? run.masks : null) && isDone;
        continue;
      }
      const part = partOf(lookAt(run.looks, model.steps), model.view);
      if (!part) clear(tile);
      else if (painter.paintView(tile.canvas, { inputs: run.inputs, part, index: tile.image, masks: run.masks, settings: state })) {
        describe(tile, part.maximum ? painter.maps(part)[tile.image] : null, { width: tile.canvas.clientWidth, quantity: quantityOf(model.view) });
      } else isDone = false;
    }
    return isDone;
  }
}

// Pixels that the words of a task take below a run's tiles, beside a caption of one line.
function wordsOf(run) {
  const isLong = run.looks.some((look) => look.said?.some((text) => text.length > LONG));
  return (isLong ? WORDS : 0) + (run.looks.some((look) => errorOf(look, 0) !== undefined) ? SPREAD : 0);
}
