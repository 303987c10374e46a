// Filters: what excites each of them most, at the moment and over time.

import { choice, element, fitCanvas } from "./parts.js";
import { replace } from "./controls.js";
import { lookAt, thinned } from "./looks.js";

const PREFIX = "filters/";
const LARGE = 128;
const [SMALL, MIDDLE] = [56, 96]; // over time: as large as the width allows
const EMPTY = "No filters in these runs: add FilterMaximizationCallback() to the Trainer's callbacks.";

export class Filters {
  constructor(page) {
    this.page = page;
    this.captions = new Map();
    this.isAsked = 0;
    this.root = element("div", { className: "sheets" });
    this.tiles = [];
  }

  namesOf(model) {
    const names = model.runs.flatMap((run) => run.sheets.flatMap((look) => Object.keys(look.pictures)));
    return [...new Set(names.filter((name) => name.startsWith(PREFIX)))].sort();
  }

  looksOf(run, name) {
    return run.sheets.filter((look) => look.pictures[name]);
  }

  ready(index) {
    const model = this.page.model;
    const steps = model.positions[Math.min(index, model.positions.length - 1)];
    const looks = model.runs.map((run) => lookAt(this.looksOf(run, this.nameOf(model)), steps));
    return this.page.painter.ready(looks.filter(Boolean).map((look) => look.pictures[this.nameOf(model)]));
  }

  nameOf(model) {
    const names = this.namesOf(model);
    return names.includes(this.page.state.layer) ? this.page.state.layer : names[0];
  }

  update(model) {
    const names = this.namesOf(model);
    const name = this.nameOf(model);
    if (!name) {
      replace(this.root, "empty", () => element("p", { className: "empty", textContent: EMPTY }));
      this.tiles = [];
      return;
    }
    const columns = this.columnsOf(model);
    const counts = model.runs.map((run) => [run.name, this.looksOf(run, name)[0]?.pictures[name].count, this.looksOf(run, name).length]);
    const most = Math.min(columns, Math.max(...counts.map(([, , looks]) => looks)));
    this.side = Math.min(MIDDLE, Math.max(SMALL, Math.floor((this.root.clientWidth || this.page.stage.clientWidth) / Math.max(1, most)) - 8));
    replace(this.root, JSON.stringify([name, names, counts, columns, this.side]), () => this.build(model, name, names, columns));
    this.fill(model, name);
    this.paint(model, name);
  }

  build(model, name, names, columns) {
    this.tiles = [];
    const options = names.map((value) => ({ value, text: value.slice(PREFIX.length) }));
    const chooser = names.length > 1
      ? [element("div", { className: "bar" }, choice("layer", options, name, (layer) => this.page.change({ layer })))] : [];
    return [...chooser, ...model.runs.map((run) => this.section(run, name, columns))];
  }

  section(run, name, columns) {
    const when = element("span", { className: "quiet" });
    const head = element("h2", {}, element("strong", { textContent: run.name }), when);
    head.style.borderColor = `var(${run.colour})`;
    const count = this.looksOf(run, name)[0]?.pictures[name].count || 0;
    const now = element("div", { className: "tiles" }, ...[...Array(count).keys()].map((at) => this.tile(run, name, at, null)));
    this.tiles.push({ kind: "head", run: run.name, when });
    const body = this.arranged(run, name, now, count, columns);
    return element("section", {}, head, count ? body : element("p", { className: "quiet", textContent: "nothing of this kind in this run" }));
  }

  tile(run, name, index, look) {
    const canvas = element("canvas", { role: "img" });
    const caption = element("figcaption", { className: "small" });
    this.tiles.push({ kind: "picture", run: run.name, index, look, canvas, caption });
    return element("figure", {}, canvas, look ? "" : caption);
  }

  lookOf(tile, model, name) {
    const run = model.runs.find((each) => each.name === tile.run);
    return tile.look || lookAt(this.looksOf(run, name), model.steps);
  }

  fill(model, name) {
    for (const tile of this.tiles) {
      const look = this.lookOf(tile, model, name);
      if (tile.kind === "head") {
        tile.when.textContent = look ? ` ${look.when}` : " not yet";
        continue;
      }
      const size = look?.pictures[name].size || [1, 1];
      const side = tile.look ? this.side : LARGE;
      fitCanvas(tile.canvas, side, Math.round((side * size[0]) / size[1]));
    }
  }

  async paint(model, name) {
    const asked = (this.isAsked += 1);
    const partOf = (tile) => this.lookOf(tile, model, name)?.pictures[name];
    const parts = [...new Set(this.tiles.map(partOf).filter(Boolean))];
    const captioned = [...new Set(this.tiles.filter((tile) => !tile.look).map(partOf).filter(Boolean))];
    this.paintTiles(model, name);
    this.root.setAttribute("aria-busy", "true");
    await Promise.all([this.page.painter.ready(parts), ...captioned.map((part) => this.loadCaptions(part))]);
    if (asked !== this.isAsked) return;
    this.paintTiles(model, name);
    this.root.setAttribute("aria-busy", "false");
  }

  async loadCaptions(part) {
    if (this.captions.has(part.key)) return;
    const facts = await this.page.source.facts(part.key).catch(() => ({}));
    this.captions.set(part.key, facts.captions || []);
  }

  paintTiles(model, name) {
    for (const tile of this.tiles) {
      if (tile.kind !== "picture") continue;
      const look = this.lookOf(tile, model, name);
      if (!look) continue;
      const part = look.pictures[name];
      this.page.painter.paintPicture(tile.canvas, part, tile.index);
      const caption = this.captions.get(part.key)?.[tile.index] || "";
      if (!tile.look) tile.caption.textContent = tile.caption.title = caption;
      tile.canvas.setAttribute("aria-label", `${name} ${tile.index + 1}, run ${tile.run}, ${look.when}: ${caption}`);
    }
  }

  columnsOf(model) {
    return Math.max(2, Math.floor(((this.root.clientWidth || this.page.stage.clientWidth) - 40) / (SMALL + 4)));
  }

  // The filters as they are at the moment, and under each the way it came there.
  arranged(run, name, now, count, columns) {
    const looks = this.looksOf(run, name);
    const shown = thinned(looks.length, columns).map((at) => looks[at]);
    const heads = shown.map((look) => element("button", {
      type: "button", textContent: look.when, title: `${look.when}: go there`,
      onclick: () => this.page.go(this.page.model.positions.indexOf(look.steps)),
    }));
    for (const head of heads) head.style.width = `${this.side}px`;
    const strips = [...Array(count).keys()].map((index) => element(
      "div", { className: "row" }, element("span", { className: "quiet number small", textContent: `${index + 1}` }),
      ...shown.map((look) => this.tile(run, name, index, look)),
    ));
    const times = element("div", { className: "row times" }, element("span"), ...heads);
    return element("div", {}, now, element("details", { open: looks.length > 1 }, element("summary", { textContent: "over time" }), times, ...strips));
  }
}
