// Compare: all images at one moment, as large as the window allows; the photos above, a row per run below, once for each kind of photos.

import { Stops } from "../access/stops.js";
import { mark } from "../picture/cell.js";
import { element, fitCanvas, heightOf, isPaper, NO_MAPS, notesIn, nthOf, pager, pressable, put, replace } from "../page/dom.js";
import { Latest } from "../picture/cache.js";
import { isUnseen, limitOf } from "../picture/colours.js";
import { unlikeOf } from "../picture/difference.js";
import { groupsOf } from "../runs/groups.js";
import { withMaps } from "../page/looks.js";
import { markOf } from "../runs/run_list.js";
import { answersOf, differenceReadingOf, quantityOf, truthOf } from "../page/words.js";
import { apartOf, nameOf, rowsOf, shownOf, sourcesOf } from "./rows.js";
import { layoutOf, PAIR } from "./layout.js";
import { describe, fillDifference, fillHead, fillTile } from "./tiles.js";

const BLINK = 200; // milliseconds: TensorBoard takes a tenth of a second for pictures that it has

export class Compare {
  constructor(page) {
    this.page = page;
    this.body = element("div");
    this.notes = element("div");
    this.root = element("div", { className: "compare" }, this.body, this.notes);
    this.stops = new Stops(this.root, ".grid canvas");
    this.tiles = [];
    this.latest = new Latest();
    this.shown = new Map();
    this.awaited = new Map(); // row -> what it waits for, and since when
  }

  // Until the pictures of a moment are there.
  ready(index) {
    const { model, state, painter } = this.page;
    const steps = model.positions[Math.min(index, model.positions.length - 1)];
    const rows = rowsOf(model.runs, { ...model, steps }, state.against);
    return painter.ready(rows.flatMap((row) => sourcesOf(row, shownOf(row, model.view), state.outline) || []));
  }

  update(model) {
    if (!model.views.length) return this.updateEmpty(model);
    const { shown, notes } = withMaps(model);
    this.show(shown, notes);
  }

  show(model, verdicts) {
    const { state, stage } = this.page;
    const groups = groupsOf(model, state).map((group) => ({ ...group, rows: rowsOf(group.runs, model, state.against) }));
    const notes = [...verdicts, ...this.readingOf(model, groups)];
    const space = { width: this.root.clientWidth || stage.clientWidth - 28, height: heightOf(stage), notes: notes.length, others: !this.page.controls.runs.others.hidden, isGlance: state.glance && !isPaper(), isPaper: isPaper() };
    this.layout = this.latest.of(partsOf(groups, space), () => layoutOf(groups, space));
    this.page.controls.glance.hidden = (space.isGlance ? layoutOf(groups, { ...space, isGlance: false }) : this.layout).isWhole;
    const { columns, perPage, isPaired } = this.layout;
    const most = Math.max(0, ...groups.map((group) => group.images.length));
    const pages = Math.max(1, Math.ceil(most / perPage));
    const first = Math.min(state.page, pages - 1) * perPage;
    const shown = groups.map((group) => ({ ...group, images: group.images.slice(first, first + perPage) }));
    const structure = JSON.stringify([
      model.probe, columns, isPaired, this.seenOf(most), pages, first, most, shown.map(({ images, rows }) => [images, rows.map(({ id, run }) => [id, run.colour, run.inputs?.key])]),
    ]);
    replace(this.body, structure, () => [...(pages > 1 ? [pager(this.page, { pages, first, last: Math.min(most, first + perPage), count: most })] : []), ...this.seenOf(most).map((textContent) => element("p", { className: "quiet seen", textContent })), ...this.build(shown, columns)]);
    notesIn(this.notes, notes, this.page);
    this.rows = shown.flatMap((group) => group.rows);
    this.fit(model);
    this.fill(model);
    this.paint(model);
  }

  // What differences are, and which there are none of.
  readingOf({ view }, groups) {
    const { state, painter } = this.page;
    const isShown = groups.some(({ rows }) => rows.some((row) => row.minus)) && !view.isPicture;
    const apart = apartOf(groups, state.against);
    return [
      ...(isShown ? [`Rows of one minus another are differences: ${differenceReadingOf(view, limitOf(view.scale, state, painter.constants), state)}`] : []),
      ...(apart ? [`No difference to ${apart.from} of ${apart.names.join(", ")}: only runs that look at the same photos, with the same labels, are subtracted.`] : []),
    ];
  }

  // At a glance it is said where not all can be seen at once.
  seenOf(count) {
    const { isWhole, seen } = this.layout;
    return this.page.state.glance && !isPaper() && !isWhole && count ? [`${seen} of ${count} images are seen at once, as small as tiles can be; the others stand below.`] : [];
  }

  updateEmpty(model) {
    this.tiles = [];
    const textContent = answersOf(model) || NO_MAPS;
    notesIn(this.notes, [], this.page);
    replace(this.body, `empty ${textContent}`, () => element("p", { className: "empty", textContent }));
  }

  build(groups, columns) {
    this.tiles = [];
    this.shown = new Map(); // row -> the look whose pictures stand there
    if (!groups.some((group) => group.images.length)) return [element("p", { className: "empty", textContent: `No image is like that${["wrong", "right"].includes(this.page.state.only) ? " at the newest look" : ""}: choose others above.` })];
    return groups.flatMap((group) => {
      const blocks = [...Array(Math.ceil(group.images.length / columns)).keys()].map((at) => group.images.slice(at * columns, (at + 1) * columns));
      return blocks.map((images, at) => this.block(group, images, at === 0));
    });
  }

  // As many images as stand side by side: their photos, and what each run says of them.
  block(group, images, isFirst) {
    const line = (cells) => element("div", { className: "line", role: "row" }, ...cells);
    const grid = element("div", { className: isFirst ? "grid first" : "grid", role: "grid", "aria-label": "columns are images, rows are runs; arrows go from tile to tile" });
    if (group.run.inputs) grid.append(line(this.inputRow(group, images, isFirst)));
    for (const row of group.rows) grid.append(line(this.runRow(row, images, isFirst)));
    if (this.layout.isPaired) pair(grid);
    return grid;
  }

  inputRow({ run, runs }, images, isFirst) {
    const textContent = isFirst ? "input" : "";
    const head = element("div", { className: "head", role: "rowheader" }, element("span", { className: "quiet", textContent, title: `the photos of ${runs.map((each) => each.name).join(", ")}` }));
    return [head, ...images.map((image) => {
      const name = truthOf(run.inputs, image);
      const canvas = this.picture(image, () => this.page.timeline.choose(image));
      canvas.setAttribute("aria-label", `image ${image + 1}${name && `: ${name}`}`);
      const state = element("span", { className: "state" });
      this.tiles.push({ kind: "input", run: run.name, image, canvas, state });
      canvas.title = "its own line in the chart";
      return element("figure", { role: "columnheader" }, element("div", { className: "photo" }, canvas, state), element("figcaption", { title: `image ${image + 1}${name && `: ${name}`}` }, nthOf(image), element("span", { className: "name", textContent: name })));
    })];
  }

  // Photos bring the image's own line to the chart; a tile opens large, and brings its line along.
  picture(image, onPress) {
    const canvas = pressable(onPress);
    canvas.title = "press to see it large";
    return canvas;
  }

  runRow(row, images, isFirst) {
    const { run, moment, minus } = row;
    const title = element("strong", { textContent: nameOf(row, this.page.model.runs), title: minus && minus.run !== run ? `${run.name} minus ${minus.run.name}` : run.name });
    if (run.number) title.prepend(markOf(this.page, run.name));
    if (moment) title.append(element("span", { className: `moment ${moment}`, textContent: moment }));
    if (minus) title.classList.add("minus");
    if (!isFirst) return [this.again(run, title), ...images.map((image) => this.tile(row, image))];
    const facts = element("div", { className: "facts" });
    const head = element("div", { className: "head", role: "rowheader" }, element("div", { className: "run" }, element("h2", {}, title), facts));
    head.firstChild.style.borderColor = `var(${run.colour})`;
    this.tiles.push({ kind: "head", row: row.id, run: run.name, facts });
    return [head, ...images.map((image) => this.tile(row, image))];
  }

  again(run, title) {
    const head = element("div", { className: "head", role: "rowheader" }, element("div", { className: "run repeated" }, title));
    head.firstChild.style.borderColor = `var(${run.colour})`;
    return head;
  }

  tile({ id, run, minus }, image) {
    const canvas = this.picture(image, () => this.page.open(run.name, image));
    canvas.dataset.name = `${id} ${image}`; // what it says comes with its picture
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
    const caption = element("figcaption", {}, nthOf(image), name, probability);
    const measures = element("div", { className: "measures" }, lift, half);
    const figure = element("figure", { role: "gridcell" }, element("div", { className: "picture" }, canvas, state), caption, error, bar, measures);
    this.tiles.push({ kind: "map", isDifference: Boolean(minus), row: id, run: run.name, image, figure, canvas, state, name, probability, fill, bar, lift, half, caption, measures, error, errorFill });
    return figure;
  }

  fit(model) {
    const { side, labels, isNarrow, isTiny, isTurned, isPaired, isBare } = this.layout;
    this.arrange(isNarrow);
    this.root.classList.toggle("tiny", isTiny);
    this.root.classList.toggle("bare", isBare);
    this.root.classList.toggle("paired", isPaired);
    this.root.classList.toggle("stacked", !labels && !isTurned);
    this.root.classList.toggle("turned", isTurned);
    for (const grid of this.root.querySelectorAll(".grid")) this.fitGrid(grid);
    const runs = new Map(model.runs.map((run) => [run.name, run]));
    for (const tile of this.tiles) {
      if (!tile.canvas) continue;
      const [height, across] = runs.get(tile.run).inputs?.size || [1, 1];
      fitCanvas(tile.canvas, side, Math.round((side * height) / across));
    }
  }

  // Turned, each line of the grid is a column: its head, then image below image.
  fitGrid(grid) {
    const { side, columns, labels, isTurned, isPaired } = this.layout;
    const beside = isTurned ? grid.children.length : columns;
    const tiles = isPaired ? `${side}px ${side + PAIR}px` : `${side}px`;
    grid.style.gridTemplateColumns = `${labels ? `${labels}px ` : ""}repeat(${beside}, ${tiles})`;
    grid.style.gridTemplateRows = isTurned ? `repeat(${grid.firstChild.children.length}, auto)` : "";
  }

  // Below a narrow tile a name has a line of its own; two names have one below any tile.
  arrange(isNarrow) {
    if (this.isNarrow === isNarrow && this.tiles.every((tile) => !tile.caption || tile.isArranged)) return;
    this.isNarrow = isNarrow;
    this.root.classList.toggle("narrow", isNarrow);
    for (const tile of this.tiles.filter((each) => each.caption)) {
      if (isNarrow || tile.isDifference) tile.measures.prepend(tile.probability, tile.half);
      else {
        tile.caption.append(tile.probability);
        tile.measures.append(tile.half);
      }
      tile.isArranged = true;
    }
  }

  fill(model) {
    this.stops.settle();
    for (const tile of this.tiles) if (tile.canvas) put(tile.canvas, "aria-pressed", tile.image === model.image);
  }

  // Each row changes as a whole, with its picture: until that has come it stays what it was, and says so.
  paint(model) {
    const { mode, gain, opacity, photo, palette, outline } = this.page.state;
    this.settings = [mode, gain, opacity, photo, palette, outline].join();
    const states = this.rows.map((row) => this.paintRow(row, model));
    this.root.setAttribute("aria-busy", String([...states, ...this.groupStates(model)].includes("loading")));
  }

  groupStates(model) {
    return this.tiles.filter((tile) => tile.kind === "input").map((tile) => this.paintInput(tile, model));
  }

  paintInput(tile, model) {
    const run = model.runs.find((each) => each.name === tile.run);
    const { painter, state } = this.page;
    const parts = [run.inputs, state.outline ? run.masks : null];
    const found = painter.stateOf(parts);
    if (found !== "shown") mark(tile, found);
    else if (this.isNew(tile, [run.inputs.key, run.masks?.key])) {
      mark(tile, painter.paintPicture(tile.canvas, run.inputs, tile.image, state.outline ? run.masks : null) ? "shown" : "missing");
    }
    return found;
  }

  // Whether a tile shows something else than is asked for; pictures that stand already are not painted again.
  isNew(tile, keys) {
    const painted = [...keys, this.settings, tile.canvas.width, tile.canvas.height].join();
    const isNew = tile.painted !== painted || tile.canvas.dataset.state !== "shown";
    tile.painted = painted;
    return isNew;
  }

  sizeOf(row) {
    const { canvas } = this.tiles.find((tile) => tile.kind === "map" && tile.row === row.id) || {};
    return `${canvas?.width}x${canvas?.height}`;
  }

  paintRow(row, model) {
    const { painter, state } = this.page;
    const asked = { ...shownOf(row, model.view), key: model.view.key };
    const before = this.shown.get(row.id);
    const wanted = [asked.part?.key, asked.minus?.key, row.run.inputs?.key, row.run.masks?.key, this.settings, this.sizeOf(row)].join();
    const sources = (each) => sourcesOf(row, each, state.outline);
    const found = !sources(asked) ? "missing" : before?.wanted === wanted ? "shown" : painter.stateOf(sources(asked));
    const stays = found === "loading" && before?.key === model.view.key && painter.stateOf(sources(before)) === "shown";
    if (stays && this.isEarly(row, wanted)) return found;
    const shown = stays ? before : { ...asked, wanted };
    if (found === "shown") this.shown.set(row.id, shown);
    if (found !== "loading") this.awaited.delete(row.id);
    const reason = found === "failed" ? painter.reasonOf(sources(asked)) : "";
    this.fillRow(row, model, { ...shown, found: stays ? "shown" : found, awaited: found === "loading" ? asked.look : null, reason });
    return found;
  }

  // Whether pictures have been awaited for a blink only: a row that they come to soon changes once, and is not marked as old before.
  isEarly(row, wanted) {
    const now = performance.now();
    if (this.awaited.get(row.id)?.wanted !== wanted) {
      this.awaited.set(row.id, { wanted, since: now });
      setTimeout(() => this.awaited.get(row.id)?.wanted === wanted && this.page.repaint(), BLINK);
    }
    return now - this.awaited.get(row.id).since < BLINK;
  }

  fillRow(row, model, shown) {
    const { look, other, found, awaited, reason } = shown;
    const { run } = row;
    for (const tile of this.tiles.filter((each) => each.row === row.id)) {
      const about = { key: model.view?.key, steps: row.steps, awaited, reason, minus: row.minus && { ...row.minus, look: other }, onAgain: () => this.page.again() };
      if (tile.kind === "head") fillHead(tile, run, look, about);
      if (tile.kind !== "map") continue;
      tile.figure.classList.toggle("old", Boolean(awaited) && found === "shown");
      if (row.minus) fillDifference(tile, run, shown, { ...row.minus, look: other, part: shown.minus });
      else fillTile(tile, run, look, model.view);
      this.paintTile(tile, row, model, shown);
    }
  }

  paintTile(tile, { run, minus: taken }, model, { part, minus, found, look }) {
    const { painter, state } = this.page;
    if (found !== "shown") {
      describe(tile, null, {});
      return mark(tile, found, found === "missing" && look ? "no map" : "");
    }
    const painted = { inputs: run.inputs, part, minus, index: tile.image, masks: run.masks, settings: state };
    const map = taken ? painter.difference(painted) : part.maximum ? painter.maps(part)?.[tile.image] : null;
    const isPainted = !this.isNew(tile, [part.key, minus?.key, run.inputs?.key, run.masks?.key])
      || (taken ? painter.paintDifference(tile.canvas, painted) : painter.paintView(tile.canvas, painted));
    const isWeak = Boolean(isPainted && map && !map.state && isUnseen(map, state, painter.constants));
    mark(tile, isPainted ? "shown" : taken ? "unlike" : "missing", isPainted ? map?.state || (isWeak ? weakIn(this.layout) : "") : taken ? unlikeOf(part, minus, tile.image) : "no map");
    return describe(tile, isPainted ? map : null, { width: this.layout.side, quantity: quantityOf(model.view), isWeak });
  }
}

// All that a layout hangs on: it is the same from step to step.
function partsOf(groups, space) {
  return [...Object.values(space), ...groups.flatMap(({ images, rows, runs }) => [images.length, rows.length, ...runs.flatMap((run) => [run.inputs, run.looks])])];
}

function weakIn({ isNarrow, isTiny }) {
  return isTiny ? "weak" : isNarrow ? "too weak" : "too weak to be seen";
}

// Each map beside its photo: of two lines one, without another order for who hears it.
function pair(grid) {
  [...grid.children].forEach(({ children: [, ...figures] }, line) => figures.forEach((figure, at) => { figure.style.order = 2 * at + line; }));
}
