// One cell, large: photo, maps and what they differ by, of one image of one run, its numbers, its line over time, a link, a picture to keep.

import { isLost } from "../access/focus.js";
import { Dialog } from "../page/dialog.js";
import { againIn, element, put, replace, say } from "../page/dom.js";
import { differenceReadingOf, readingOf } from "../page/words.js";
import { limitOf } from "../picture/colours.js";
import { Legend } from "../picture/legend.js";
import { drawLine } from "./line.js";
import { factsOf } from "./facts.js";
import { keep } from "./download.js";
import { Panel } from "./panel.js";
import { panelsOf, whenOf } from "./panels.js";

const [MOST, LEAST, GAP] = [560, 160, 16];
const FRAME = 52; // pixels of the window's edges and of its scroll bar

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
    if (!this.dialog.isOpen) this.opener = document.activeElement.dataset.name;
    this.dialog.open(`image ${cell.image + 1}, ${run.name}`);
    this.show(model, run, cell.image);
    return undefined;
  }

  // Browsers say it a little later once more: another cell may have been opened meanwhile.
  onClosed() {
    if (this.dialog.isOpen) return;
    if (isLost()) this.leave();
    if (this.page.state.cell) this.page.change({ cell: null });
  }

  // The tile that it was opened from may have been made anew meanwhile.
  leave() {
    const { stage } = this.page;
    const tile = [...stage.querySelectorAll("canvas[data-name]")].find((each) => each.dataset.name === this.opener);
    (tile || stage).focus({ preventScroll: true });
  }

  show(model, run, image) {
    const shown = panelsOf(run, model, this.page.state.against);
    replace(this.dialog.body, JSON.stringify([run.name, image, shown.map(({ kind, name }) => [kind, name])]), () => this.build(shown));
    const side = sideOf(shown.length);
    this.panels.forEach((panel, at) => panel.update(shown[at], { model, image, side }));
    put(this.lined, "aria-pressed", model.image === image);
    this.proof.hidden = !run.twins && !run.looks.some((look) => look.verdict);
    this.sayUnder();
    againIn(this.again, this.page, this.panels.map((each) => each.reason).find(Boolean) || "");
    this.updateScales(model.view);
    this.reading.textContent = [readingOf(model, this.page.state), this.differenceReading(model)].filter(Boolean).join(" ");
    this.facts.replaceChildren(...this.factsOfShown());
    drawLine(this.line, { run, image, model, width: Math.min(720, window.innerWidth - 80) });
  }

  // Of the look whose map is shown; of one that is on its way nothing is said.
  factsOfShown() {
    const { shown, found } = this.panels.find((each) => each.kind === "map");
    return found === "loading" ? [] : factsOf(shown.panel, shown.look, shown.image, shown.view);
  }

  get difference() {
    return this.panels.find((panel) => panel.kind === "difference");
  }

  differenceReading({ view }) {
    const { state, painter } = this.page;
    return this.difference && !view.isPicture ? `The difference: ${differenceReadingOf(view, limitOf(view.scale, state, painter.constants), state)}` : "";
  }

  // One place of one picture is read at a time; with the picture its value becomes another one.
  point(panel, place) {
    for (const each of this.panels) each.point(each === panel ? place : null);
    this.sayUnder();
  }

  sayUnder() {
    say(this.under, this.panels.map((each) => each.under).find(Boolean) || "");
  }

  build(shown) {
    this.panels = shown.map(({ kind }, at) => new Panel(this.page, kind, (place) => this.point(this.panels[at], place)));
    this.facts = element("dl", { className: "facts" });
    this.line = element("canvas", { className: "line", role: "img" });
    this.reading = element("p", { className: "quiet reading" });
    this.again = element("div");
    this.scales = element("div", { className: "scales" });
    const button = (textContent, onclick) => element("button", { type: "button", textContent, onclick });
    this.lined = button("its line in the chart", () => this.page.timeline.choose(this.page.state.cell.image));
    this.proof = button("its run's twins", () => this.prove());
    const tools = element(
      "div", { className: "tools" }, button("‹ image before", () => this.step(-1)), button("next image ›", () => this.step(1)),
      button("look before", () => this.page.go(this.page.model.index - 1)), button("next look", () => this.page.go(this.page.model.index + 1)),
      this.lined, this.proof, button("copy link", (event) => this.page.copyLink(event.currentTarget)),
      button("download as PNG", () => this.download()),
    );
    return [element("div", { className: "panels" }, ...this.panels.map((each) => each.figure)), this.again, element("div", { className: "key" }, this.scales, this.reading), this.under, tools, this.facts, this.line];
  }

  // What its heat map only suggests, the twins and exchanges of the run show.
  prove() {
    const { run } = this.page.state.cell;
    this.page.state.cell = null;
    this.page.prove(run, this.page.model.steps);
  }

  step(by) {
    const { cell } = this.page.state;
    const { count } = this.page.model.runs.find((each) => each.name === cell.run);
    this.page.change({ cell: { ...cell, image: (cell.image + by + count) % count } });
  }

  download() {
    const { model, painter, state } = this.page;
    const { cell } = state;
    keep({
      name: [cell.run, `image ${cell.image + 1}`, ...this.lookNames(model.view)], title: `image ${cell.image + 1}, ${cell.run}, ${model.view.title}${this.isShape(model.view) ? ", shape only" : ""}`, panels: this.panels,
      reading: this.reading.textContent, legends: this.legendsOf(model.view).map((each) => ({ ...each, settings: state, painter })),
    });
  }

  // The bars of what is shown, the same as in the bar of the page, near the maps.
  updateScales(view) {
    const { state, painter } = this.page;
    const shown = this.legendsOf(view);
    replace(this.scales, JSON.stringify(shown.map(({ name }) => name)), () => {
      this.bars = shown.map(() => new Legend());
      return shown.map(({ name }, at) => element("div", { className: "scale" }, this.bars[at].root, element("span", { className: "quiet", textContent: name })));
    });
    shown.forEach(({ scale }, at) => this.bars[at].update(scale, state, painter));
  }

  // What tells one picture of an image from another one: the view, and the moments whose maps are shown.
  lookNames(view) {
    const maps = this.panels.filter((each) => each.kind === "map").map(({ shown }) => shown);
    return [view.key, ...(this.isShape(view) ? ["shape only"] : []), ...maps.map(({ panel, look }) => `${panel.name} ${whenOf(look)}`)];
  }

  isShape({ scale, isPicture }) {
    return !isPicture && scale.kind === "log" && this.page.state.mode === "shape";
  }

  // That of the maps; a difference has a sign, whether its maps have one or not.
  legendsOf({ scale, isPicture }) {
    if (isPicture) return [];
    return [{ scale, name: "" }, ...(this.difference && !scale.signed ? [{ scale: { ...scale, signed: true }, name: "difference" }] : [])];
  }
}

// As many side by side as there is room for: all of them, else two of four, so that those that are compared are seen together.
function sideOf(count) {
  const room = Math.floor(window.innerWidth * 0.96) - FRAME;
  const at = (columns) => Math.floor((room - GAP * (columns - 1)) / columns);
  const across = at(count) >= LEAST ? at(count) : at(count > 2 ? 2 : 1);
  return Math.min(MOST, across, Math.max(LEAST, window.innerHeight * 0.55));
}
