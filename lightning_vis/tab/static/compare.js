// Compare: all images at one moment; the inputs above, a row per run below.

import { replace } from "./controls.js";
import { className, labelOf, lookAt } from "./looks.js";
import { element, fitCanvas, pressable } from "./parts.js";

const PER_PAGE = 8;
const SIDE = 220;
const LABELS = 146;
const GAP = 8;
const LEAST = 112; // tiles become smaller so that all rows are seen at once, but no smaller than this
const CAPTION = 20;
const MEASURES = 25;

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
    return model.runs.map((run) => lookAt(run.looks, steps)?.maps[model.view?.key]).filter(Boolean);
  }

  update(model) {
    const pages = Math.max(1, Math.ceil(model.count / PER_PAGE));
    const first = Math.min(this.page.state.page, pages - 1) * PER_PAGE;
    const images = [...Array(Math.min(PER_PAGE, model.count - first)).keys()].map((at) => first + at);
    const structure = JSON.stringify([model.probe, images, pages, model.runs.map((run) => [run.name, run.colour, run.inputs?.key])]);
    replace(this.root, structure, () => this.build(model, images, pages));
    this.fit(model);
    this.fill(model);
    this.paint(model);
  }

  build(model, images, pages) {
    this.tiles = [];
    this.images = images;
    const grid = element("div", { className: "grid" });
    const withInputs = model.runs.find((run) => run.inputs);
    if (withInputs) grid.append(...this.inputRow(withInputs, images));
    for (const run of model.runs) grid.append(...this.runRow(run, images));
    return pages > 1 ? [this.pager(model, pages, images), grid] : [grid];
  }

  pager(model, pages, images) {
    const go = (step) => () => this.page.change({ page: Math.min(pages - 1, Math.max(0, this.page.state.page + step)) });
    return element(
      "nav", { className: "pager", "aria-label": "images" },
      element("button", { type: "button", textContent: "‹", "aria-label": "previous images", disabled: images[0] === 0, onclick: go(-1) }),
      element("span", { textContent: `images ${images[0] + 1} to ${images[images.length - 1] + 1} of ${model.count}` }),
      element("button", {
        type: "button", textContent: "›", "aria-label": "next images", disabled: images[images.length - 1] === model.count - 1, onclick: go(1),
      }),
    );
  }

  inputRow(run, images) {
    const head = element("div", { className: "head" }, element("span", { className: "quiet", textContent: "input" }));
    return [head, ...images.map((image) => {
      const label = labelOf(run.inputs, image);
      const name = label === null ? `image ${image + 1}` : className(run.inputs, label);
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
    this.tiles.push({ kind: "map", run: run.name, image, canvas, state, name, probability, fill, bar, lift, half });
    return element(
      "figure", {}, element("div", { className: "picture" }, canvas, state), element("figcaption", {}, name, probability), bar, element("div", { className: "measures" }, lift, half),
    );
  }

  fit(model) {
    const columns = this.images.length;
    const room = (this.root.clientWidth || this.page.stage.clientWidth) - LABELS - columns * GAP - 2;
    const wide = Math.min(SIDE, Math.floor(room / Math.max(1, columns)));
    const rows = [...(model.runs.some((run) => run.inputs) ? [CAPTION] : []), ...model.runs.map(() => CAPTION + MEASURES)];
    const tall = Math.floor((this.page.stage.clientHeight - 24 - rows.reduce((sum, each) => sum + each + GAP, 0)) / Math.max(1, rows.length));
    const ratio = Math.max(...model.runs.map((run) => (run.inputs ? run.inputs.size[0] / run.inputs.size[1] : 1)));
    const width = Math.max(48, Math.min(wide, Math.max(LEAST, Math.floor(tall / ratio))));
    this.root.querySelector(".grid").style.gridTemplateColumns = `${LABELS}px repeat(${columns}, ${width}px)`;
    for (const tile of this.tiles) {
      if (!tile.canvas) continue;
      const run = model.runs.find((each) => each.name === tile.run);
      const [height, across] = run.inputs?.size || [1, 1];
      fitCanvas(tile.canvas, width, Math.round((width * height) / across));
    }
  }

  fill(model) {
    for (const tile of this.tiles) {
      tile.canvas?.setAttribute("aria-pressed", String(tile.image === model.image));
      const run = model.runs.find((each) => each.name === tile.run);
      const look = lookAt(run.looks, model.steps);
      if (tile.kind === "head") this.fillHead(tile, run, look, model);
      if (tile.kind === "map") this.fillTile(tile, run, look, model);
    }
  }

  fillHead(tile, run, look, model) {
    const lines = [look ? look.when : "not yet"];
    if (look && run.inputs?.labels) {
      const right = look.predicted.filter((predicted, image) => predicted === run.inputs.labels[image]).length;
      lines.push(`${right} of ${look.predicted.length} right`);
    }
    const lift = look?.numbers[`attribution/${model.view?.key}/lift`];
    if (Number.isFinite(lift)) lines.push(`object ${times(lift)} chance`);
    const effect = look?.numbers["reliance/background_effect"];
    if (Number.isFinite(effect)) lines.push(`background ${Math.round(100 * effect)} pts`);
    const alert = look?.numbers["reliance/alert"];
    const lit = alert >= 1 ? "red" : alert >= 0.5 ? "amber" : "";
    replace(tile.facts, JSON.stringify([lines, lit]), () => [
      ...lines.map((line) => element("div", { textContent: line })),
      ...(lit ? [element("div", { className: `alert ${lit}`, textContent: lit === "red" ? "alert: background" : "background?" })] : []),
    ]);
    tile.facts.title = look?.notes.join("\n") || "";
  }

  fillTile(tile, run, look, model) {
    const { image } = tile;
    const label = labelOf(run.inputs, image);
    const predicted = look?.predicted[image];
    const answers = predicted !== undefined && predicted >= 0;
    const isWrong = answers && label !== null && predicted !== label;
    const part = look?.maps[model.view?.key];
    const explained = className(run.inputs, part?.classes[image]);
    tile.name.textContent = answers ? `${isWrong ? "✗ " : ""}${className(run.inputs, predicted)}` : "";
    tile.name.classList.toggle("wrong", isWrong);
    tile.name.title = [answers ? `says ${className(run.inputs, predicted)}` : "", explained && `explained: ${explained}`].filter(Boolean).join("; ");
    const probability = look?.probability[image];
    const prefix = tile.canvas.clientWidth < 120 ? "" : "p "; // a small tile has room for the name alone
    tile.probability.textContent = Number.isFinite(probability) ? `${prefix}${probability.toFixed(2)}` : "";
    const lift = look?.per_image[`attribution/${model.view?.key}/lift`]?.[image];
    const hasLift = run.looks.some((each) => each.per_image[`attribution/${model.view?.key}/lift`]);
    tile.bar.hidden = tile.lift.hidden = !hasLift;
    fillBar(tile, lift);
    tile.lift.textContent = Number.isFinite(lift) ? `object ${times(lift)}` : "object –";
    tile.hasLift = hasLift;
    tile.lift.title = "The map's share on the object over the object's share of the image: 1 × is chance, the tick on the bar";
    const says = answers ? `says ${className(run.inputs, predicted)}${isWrong ? ", wrong" : ""}` : "no answer yet";
    const where = Number.isFinite(lift) ? `, on the object ${times(lift)} chance` : "";
    tile.canvas.setAttribute("aria-label", `image ${image + 1}, run ${run.name}, ${look?.when || "not yet"}: ${says}${where}`);
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
      const part = lookAt(run.looks, model.steps)?.maps[model.view?.key];
      if (!part) clear(tile);
      else if (painter.paintMap(tile.canvas, { inputs: run.inputs, part, index: tile.image, masks: run.masks, settings: state })) describe(tile, painter.maps(part)[tile.image]);
      else isDone = false;
    }
    return isDone;
  }
}

function describe(tile, map) {
  tile.state.textContent = map?.state || "";
  tile.half.textContent = map?.half ? `half ${tile.hasLift ? "" : "of it "}in ${percent(map.half)}${tile.hasLift ? "" : " of the image"}` : "";
  tile.half.title = map?.half ? `Half of the evidence lies in ${percent(map.half)} of the image` : "";
}

function clear(tile) {
  tile.canvas.getContext("2d").clearRect(0, 0, tile.canvas.width, tile.canvas.height);
  tile.state.textContent = "no map";
  tile.half.textContent = "";
}

// On a log axis from a quarter to four times chance, from the tick at chance to the value.
function fillBar(tile, lift) {
  const at = Number.isFinite(lift) ? Math.min(1, Math.max(0, (Math.log2(Math.max(lift, 1e-9)) + 2) / 4)) : 0.5;
  tile.fill.style.left = `${100 * Math.min(at, 0.5)}%`;
  tile.fill.style.width = `${100 * Math.abs(at - 0.5)}%`;
}

function times(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ×`;
}

function percent(share) {
  return share < 0.01 ? "< 1 %" : `${Math.round(100 * share)} %`;
}
