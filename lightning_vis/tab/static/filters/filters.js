// Filters: what excites each of them most, at the moment and over time.

import { mark } from "../picture/cell.js";
import { againIn, choice, element, fitCanvas, heightOf, replace } from "../page/dom.js";
import { lookAt } from "../page/looks.js";
import { FilterFilm, LEFT, SMALL } from "./filter_film.js";

const PREFIX = "filters/";
const [LARGE, LEAST] = [128, 64]; // so that the film begins in the window, however many filters there are
const WORDS = 38; // pixels of a caption and the gap below it
const MIDDLE = 96; // over time: as large as the width allows
const [GAP, BETWEEN] = [4, 8];
const EMPTY = "No filters in these runs: add FilterMaximizationCallback() to the Trainer's callbacks.";
const ORANGE = "Orange frame: the filter is dead, or a probe image excites it more than its own picture does.";
const OTHERS = "Over time: the filters of the look shown; empty where a look had others.";

export class Filters {
  constructor(page) {
    this.page = page;
    this.root = element("div", { className: "sheets" });
    this.sections = [];
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
      this.sections = [];
      return;
    }
    const looks = model.runs.map((run) => this.looksOf(run, name));
    const note = noteOf(looks.map((own) => own.map((look) => look.pictures[name])));
    const structure = [name, names, model.runs.map((run, at) => [run.name, run.colour, Math.min(2, looks[at].length)]), note];
    replace(this.root, JSON.stringify(structure), () => this.build(model, { name, names, looks, note }));
    const layout = this.layoutFor(Math.max(...looks.map((each) => each.length)));
    this.sections.forEach((section, at) => this.fill(section, { looks: looks[at], name, steps: model.steps, layout }));
    this.paint();
  }

  // How many columns there is room for, and how large their pictures may be.
  layoutFor(most) {
    const room = (this.root.clientWidth || this.page.stage.clientWidth) - LEFT - GAP;
    const columns = Math.max(2, Math.floor(room / (SMALL + GAP)));
    return { columns, side: Math.min(MIDDLE, Math.max(SMALL, Math.floor(room / Math.min(columns, most)) - GAP)) };
  }

  build(model, { name, names, looks, note }) {
    const options = names.map((value) => ({ value, text: value.slice(PREFIX.length) }));
    const chooser = names.length > 1
      ? [element("div", { className: "bar" }, choice("layer", options, name, (layer) => this.page.change({ layer })))] : [];
    this.sections = model.runs.map((run, at) => this.section(run, looks[at].length));
    const noted = note ? [element("p", { className: "quiet note", textContent: note })] : [];
    return [...chooser, ...noted, ...this.sections.map((section) => section.root)];
  }

  section(run, count) {
    const when = element("span", { className: "quiet" });
    const head = element("h2", {}, element("strong", { textContent: run.name }), when);
    head.style.borderColor = `var(${run.colour})`;
    const now = element("div", { className: "tiles now" });
    const again = element("div");
    const film = new FilterFilm(run.name, count > 1, (look) => this.page.go(this.page.model.positions.indexOf(look.steps)));
    const body = count ? [again, now, film.root] : [element("p", { className: "quiet", textContent: "nothing of this kind in this run" })];
    return { run: run.name, when, again, now, film, tiles: [], root: element("section", {}, head, ...body) };
  }

  fill(section, { looks, name, steps, layout }) {
    const look = lookAt(looks, steps);
    const part = look?.pictures[name];
    const side = this.sideOf(part);
    section.now.classList.toggle("small", side < LARGE);
    section.when.textContent = look ? ` ${look.when}` : " not yet";
    replace(section.now, String(part?.count || 0), () => {
      section.tiles = [...Array(part?.count || 0).keys()].map((index) => this.tile(index));
      return section.tiles.map((tile) => tile.figure);
    });
    for (const tile of section.tiles) {
      Object.assign(tile, { part, label: `${name} ${part.names?.[tile.index]}, run ${section.run}, ${look.when}` });
      tile.figure.classList.toggle("marked", isMarked(part, tile.index));
      tile.figure.style.width = `${side}px`;
      fitCanvas(tile.canvas, side, Math.round((side * part.size[0]) / part.size[1]));
    }
    if (looks.length) section.film.update(looks, name, part || looks[0].pictures[name], layout);
  }

  // The largest size at which all pictures of now take three fifths of the window, at least the least one.
  sideOf(part) {
    const { stage } = this.page;
    const room = { width: this.root.clientWidth || stage.clientWidth, height: 0.6 * heightOf(stage) };
    return largestSide(part?.count || 0, part ? part.size[0] / part.size[1] : 1, room);
  }

  tile(index) {
    const canvas = element("canvas", { role: "img" });
    const state = element("span", { className: "state" });
    const caption = element("figcaption", { className: "small" });
    return { index, canvas, state, caption, figure: element("figure", {}, element("div", { className: "photo" }, canvas, state), caption) };
  }

  paint() {
    const states = this.sections.flatMap((section) => [...section.tiles, ...section.film.tiles]).map((tile) => this.paintTile(tile));
    for (const { again, tiles, film } of this.sections) againIn(again, this.page, this.page.painter.reasonOf([...tiles, ...film.tiles].map((tile) => tile.part)));
    this.root.setAttribute("aria-busy", String(states.includes("loading")));
  }

  paintTile(tile) {
    const { painter } = this.page;
    const found = painter.stateOf([tile.part]);
    const isShown = found === "shown" && painter.paintPicture(tile.canvas, tile.part, tile.index);
    mark(tile, isShown ? "shown" : found === "shown" ? "missing" : found);
    return tile.caption ? [found, this.writeCaption(tile)].find((each) => each === "loading") || found : found;
  }

  writeCaption(tile) {
    const { captions } = this.page;
    const caption = captions.of(tile.part)?.[tile.index] || "";
    tile.caption.textContent = tile.caption.title = caption;
    tile.canvas.setAttribute("aria-label", caption ? `${tile.label}: ${caption}` : tile.label);
    return captions.isLoading(tile.part) ? "loading" : "shown";
  }
}

function largestSide(count, tall, { width, height }) {
  const lines = (side) => Math.ceil(count / Math.max(1, Math.floor((width + BETWEEN) / (side + BETWEEN))));
  let side = LARGE;
  while (side > LEAST && lines(side) * (side * tall + WORDS) > height) side -= 4;
  return side;
}

// What has to be said of the frames and gaps that some look brings. Parts come by run.
function noteOf(parts) {
  const isOrange = parts.flat().some((part) => part.dead?.length || part.prefers_probe?.length);
  const hasOthers = parts.some((own) => new Set(own.map((part) => JSON.stringify([...(part.names || [])].sort()))).size > 1);
  return [isOrange ? ORANGE : "", hasOthers ? OTHERS : ""].filter(Boolean).join(" ");
}

function isMarked(part, index) {
  return Boolean(part.dead?.includes(index) || part.prefers_probe?.includes(index));
}
