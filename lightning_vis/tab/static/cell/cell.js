// One cell, large: photo and maps of one image of one run at both moments, its numbers, its line over time, a link, a picture to keep.

import { Dialog } from "../page/dialog.js";
import { element, fitCanvas, replace } from "../page/dom.js";
import { lookAt, partOf } from "../page/looks.js";
import { captionOf, explainedOf, isWrong, likeliestOf, quantityOf, readingOf, truthInUnit } from "../page/words.js";
import { mark } from "../picture/cell.js";
import { drawLine } from "./line.js";
import { factsOf } from "./facts.js";
import { keep } from "./download.js";
import { valueUnder } from "./values.js";
import { shares } from "./shares.js";

const [MOST, LEAST, GAP] = [560, 160, 16];
const MASK = "mask"; // the view of a predicted mask, and the panel beside the map
const FINE = 32; // cells of a map's edge, up to which they are drawn

export class Cell {
  constructor(page) {
    this.page = page;
    this.dialog = new Dialog("cell", () => this.onClosed());
    this.panels = [];
    this.under = element("p", { className: "under quiet", "aria-live": "polite" });
  }

  // Opened by the state of the page, so that a link opens it too.
  update(model) {
    const { cell } = this.page.state;
    const run = cell && model.runs.find((each) => each.name === cell.run);
    if (!run || !(cell.image < run.count)) return this.dialog.close();
    this.dialog.open(`image ${cell.image + 1}, ${run.name}`);
    this.show(model, run, cell.image);
    return undefined;
  }

  onClosed() {
    if (this.page.state.cell) this.page.change({ cell: null });
  }

  show(model, run, image) {
    const moments = this.momentsOf(model);
    const names = namesOf(run, moments, model.view);
    replace(this.dialog.body, JSON.stringify([run.name, image, names]), () => this.build(names));
    const beside = (window.innerWidth - 80 - GAP * names.length) / names.length;
    const across = beside < LEAST ? window.innerWidth - 80 : beside; // in a narrow window one stands below the other
    const side = Math.max(LEAST, Math.min(MOST, across, window.innerHeight * 0.55));
    for (const panel of this.panels) this.fill(panel, { model, run, image, side, moment: moments.find((each) => each.name === panel.name) || moments[0] });
    this.reading.textContent = readingOf(model);
    this.facts.replaceChildren(...factsOf(run, lookAt(run.looks, model.steps), image, model.view));
    drawLine(this.line, { run, image, model, width: Math.min(720, window.innerWidth - 80) });
  }

  momentsOf(model) {
    const hasOther = this.page.state.against === "moment";
    return [{ name: hasOther ? "A" : "now", steps: model.steps }, ...(hasOther ? [{ name: "B", steps: model.otherSteps }] : [])];
  }

  build(names) {
    this.panels = names.map((name) => this.panel(name));
    this.facts = element("dl", { className: "facts" });
    this.line = element("canvas", { className: "line", role: "img" });
    this.reading = element("p", { className: "quiet" });
    const button = (textContent, onclick) => element("button", { type: "button", textContent, onclick });
    const tools = element(
      "div", { className: "tools" }, button("‹ image before", () => this.step(-1)), button("next image ›", () => this.step(1)),
      button("look before", () => this.page.go(this.page.model.index - 1)), button("next look", () => this.page.go(this.page.model.index + 1)),
      button("its line in the chart", () => this.page.timeline.choose(this.page.state.cell.image)), button("copy link", (event) => this.copy(event.currentTarget)),
      button("download as PNG", () => this.download()),
    );
    return [element("div", { className: "panels" }, ...this.panels.map((each) => each.figure)), this.under, tools, this.facts, this.line, this.reading];
  }

  panel(name) {
    const canvas = element("canvas", { role: "img" });
    const state = element("span", { className: "state" });
    const words = element("figcaption");
    const likeliest = element("div", { className: "likeliest", hidden: true });
    const panel = { name, canvas, state, words, likeliest, figure: element("figure", {}, element("div", { className: "photo" }, canvas, state), words, likeliest) };
    canvas.addEventListener("pointermove", (event) => this.say(panel, event));
    canvas.addEventListener("pointerleave", () => { this.under.textContent = ""; });
    return panel;
  }

  fill(panel, { model, run, image, side, moment }) {
    const [height, width] = run.inputs?.size || [1, 1];
    fitCanvas(panel.canvas, side, Math.round((side * height) / width));
    panel.figure.style.width = `${side}px`; // a long caption makes no panel wider than its picture
    const { painter, state } = this.page;
    const isMask = panel.name === MASK;
    const masks = state.outline || isMask ? run.masks : null;
    if (panel.name === "input") {
      const found = painter.stateOf([run.inputs, masks]);
      panel.words.textContent = truthInUnit(run, image) || `image ${image + 1}`;
      panel.canvas.setAttribute("aria-label", `the photo: ${panel.words.textContent}`);
      const isShown = found === "shown" && painter.paintPicture(panel.canvas, run.inputs, image, masks);
      return mark(panel, isShown ? "shown" : found === "shown" ? "missing" : found);
    }
    const look = lookAt(run.looks, moment.steps);
    const part = isMask ? look?.maps.mask : partOf(look, model.view);
    const found = part ? painter.stateOf([part, run.inputs, masks]) : "missing";
    panel.shown = { part, image };
    const isShown = found === "shown" && painter.paintView(panel.canvas, { inputs: run.inputs, part, index: image, masks: run.masks, settings: isMask ? { ...state, outline: true } : state });
    if (isShown && part.maximum) drawGrid(panel.canvas, part.size);
    mark(panel, isShown ? "shown" : found === "shown" ? "missing" : found, isShown && part.maximum ? painter.maps(part)?.[image]?.state : "");
    panel.words.textContent = isMask ? maskWordsOf(run, look, image) : wordsOf(run, look, image, part);
    if (!isMask) shares(panel.likeliest, likeliestOf(run.inputs, look, image), run.colour);
    panel.words.classList.toggle("wrong", isWrong(run.inputs, look, image) === true);
    return panel.canvas.setAttribute("aria-label", `${moment.name}: ${panel.words.textContent}`);
  }

  say(panel, event) {
    const { part, image } = panel.shown || {};
    if (panel.canvas.dataset.state !== "shown") return;
    this.under.textContent = valueUnder(this.page.painter.maps(part)?.[image], event.offsetX / panel.canvas.clientWidth, event.offsetY / panel.canvas.clientHeight, {
      quantity: quantityOf(panel.name === MASK ? part : this.page.model.view), unit: part?.unit ?? "log-odds",
    });
  }

  step(by) {
    const { cell } = this.page.state;
    const { count } = this.page.model.runs.find((each) => each.name === cell.run);
    this.page.change({ cell: { ...cell, image: (cell.image + by + count) % count } });
  }

  async copy(button) {
    this.page.flush();
    try {
      await navigator.clipboard.writeText(this.page.host.location.href);
      button.textContent = "link copied";
    } catch {
      button.textContent = "the link is in the address bar";
    }
  }

  download() {
    const { model, painter, state } = this.page;
    const { cell } = state;
    keep({
      name: `${cell.run} image ${cell.image + 1}`, title: `image ${cell.image + 1}, ${cell.run}, ${model.view.title}`, panels: this.panels,
      reading: this.reading.textContent, legend: model.view.isPicture ? null : { scale: model.view.scale, settings: state, painter },
    });
  }
}

// Photo, maps of the moments, and of a segmentation the mask that it predicts, where the maps are of something else.
function namesOf(run, moments, view) {
  const hasMask = view?.key !== MASK && run.looks.some((look) => look.maps.mask);
  return [...(run.inputs ? ["input"] : []), ...moments.map((each) => each.name), ...(hasMask ? [MASK] : [])];
}

function maskWordsOf(run, look, image) {
  const explained = explainedOf(run.inputs, look?.maps.mask, image);
  const iou = look?.per_image["answers/iou"]?.[image];
  const overlap = Number.isFinite(iou) ? `overlap (IoU) ${iou.toFixed(2)}` : "";
  return [look ? look.when : "not looked at", `predicted mask${explained && ` of ${explained}`}`, overlap, run.masks ? "white line: the true one" : ""].filter(Boolean).join(" · ");
}

// The map's own cells: what lies between their middles is interpolated.
function drawGrid(canvas, [rows, columns]) {
  if (Math.max(rows, columns) > FINE) return;
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff38";
  for (let row = 1; row < rows; row += 1) context.fillRect(0, Math.round((row * canvas.height) / rows), canvas.width, 1);
  for (let column = 1; column < columns; column += 1) context.fillRect(Math.round((column * canvas.width) / columns), 0, 1, canvas.height);
}

function wordsOf(run, look, image, part) {
  const { text, share } = captionOf(run.inputs, look, image);
  const explained = explainedOf(run.inputs, part, image);
  const says = text ? `${isWrong(run.inputs, look, image) ? "✗ " : ""}${text}` : "";
  return [look ? look.when : "not looked at", says, share, explained && `explains ${explained}`].filter(Boolean).join(" · ");
}
