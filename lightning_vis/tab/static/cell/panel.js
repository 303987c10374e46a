// One picture of an opened cell with its caption: painted in its state, and the value of what it shows under the pointer.

import { element, fitCanvas, put, say } from "../page/dom.js";
import { explainedOf, isWrong, likeliestOf, quantityOf, signsOf } from "../page/words.js";
import { mark } from "../picture/cell.js";
import { isUnseen } from "../picture/colours.js";
import { unlikeOf } from "../picture/difference.js";
import { MASK, shownIn, whenOf, wordsOf } from "./panels.js";
import { beside, frame, pointing } from "./pointer.js";
import { shares } from "./shares.js";
import { differenceUnder, valueUnder } from "./values.js";

const FINE = 32; // cells of a map's edge, up to which they are drawn

export class Panel {
  // `onPoint` is told where in it something is asked for; nothing is to be read from a photo.
  constructor(page, kind, onPoint) {
    Object.assign(this, { page, kind, place: null, map: null });
    const reading = { role: "application", "aria-roledescription": "map; arrows read its values", tabIndex: 0, ...pointing(onPoint, (way) => this.map && onPoint(beside(this.place, this.map, way))) };
    this.canvas = element("canvas", kind === "input" ? { role: "img" } : reading);
    this.state = element("span", { className: "state" });
    this.spot = element("div", { className: "spot", hidden: true });
    this.words = element("figcaption");
    this.signs = element("div", { className: "quiet signs" });
    this.likeliest = element("div", { className: "likeliest", hidden: true });
    this.figure = element("figure", {}, element("div", { className: "photo" }, this.canvas, this.state, this.spot), this.words, this.signs, this.likeliest);
  }

  point(place) {
    this.place = place;
    frame(this.spot, place, this.map);
  }

  // Picture and words change together: until the picture has come, those before it stay, and say what is awaited.
  update(panel, { model, image, side }) {
    const [height, width] = panel.run.inputs?.size || [1, 1];
    fitCanvas(this.canvas, side, Math.round((side * height) / width));
    this.figure.style.width = `${side}px`; // a long caption makes no panel wider than its picture
    const asked = { panel, image, view: model.view, ...shownIn(panel, model.view) };
    const isLoading = this.stateOf(asked) === "loading";
    const isOld = isLoading && this.shown?.view?.key === model.view?.key && this.stateOf(this.shown) === "shown";
    this.shown = isOld ? this.shown : asked;
    this.found = this.stateOf(this.shown);
    this.reason = this.found === "failed" ? this.page.painter.reasonOf(this.sourcesOf(asked)) : "";
    this.figure.classList.toggle("old", isOld);
    this.paint(this.shown, isOld ? `loading ${whenOf(asked.look)} …` : "");
    this.write(this.shown);
    this.point(this.place); // on what is shown now
  }

  // Of a picture that is on its way nothing is said but which one it is.
  write({ panel, look, image, ...shown }) {
    const { run, kind, name } = panel;
    const isKnown = this.found !== "loading";
    const isMap = kind === "map";
    say(this.words, isKnown || kind === "input" ? wordsOf(panel, { look, ...shown }, image) : name);
    this.words.classList.toggle("wrong", isKnown && (isMap || kind === MASK) && isWrong(run.inputs, look, image) === true);
    say(this.signs, isMap && isKnown && shown.part ? signsOf(shown.part, explainedOf(run.inputs, shown.part, image), this.page.state) : "");
    put(this.canvas, "aria-label", kind === "input" ? `the photo: ${this.words.textContent}` : this.words.textContent);
    shares(this.likeliest, isMap && isKnown ? likeliestOf(run.inputs, look, image) : [], run.colour);
  }

  sourcesOf({ panel, part, minus }) {
    const { run, kind } = panel;
    return [part, minus, run.inputs, this.page.state.outline || kind === MASK ? run.masks : null].filter(Boolean);
  }

  stateOf(shown) {
    const isThere = shown.part && (!shown.panel.minus || shown.minus);
    return isThere ? this.page.painter.stateOf(this.sourcesOf(shown)) : "missing";
  }

  // Its picture, or why there is none: never another one.
  paint(shown, waiting) {
    const { painter, state } = this.page;
    const { run, kind, minus } = shown.panel;
    this.map = null;
    if (this.found !== "shown") return mark(this, this.found, this.found === "missing" ? whyNot(shown, minus) : "");
    const painted = { inputs: run.inputs, part: shown.part, minus: shown.minus, index: shown.image, masks: run.masks, settings: kind === MASK ? { ...state, outline: true } : state };
    if (!this.draw(kind, painted, state.outline ? run.masks : null)) return mark(this, minus ? "unlike" : "missing", minus ? unlikeOf(shown.part, shown.minus, shown.image) : "no map");
    this.map = minus ? painter.difference(painted) : shown.part.maximum ? painter.maps(shown.part)?.[shown.image] : null;
    if (this.map) drawGrid(this.canvas, this.map);
    return mark(this, "shown", waiting || (this.map ? seenOf(this.map, quantityOf(viewOf(shown)), painted.settings, painter.constants) : ""));
  }

  draw(kind, painted, masks) {
    const { painter } = this.page;
    if (kind === "input") return painter.paintPicture(this.canvas, painted.inputs, painted.index, masks);
    return kind === "difference" ? painter.paintDifference(this.canvas, painted) : painter.paintView(this.canvas, painted);
  }

  // What its map is at the place that is pointed to.
  get under() {
    if (!this.map || !this.place) return "";
    const { x, y } = this.place;
    const { panel, part } = this.shown;
    const { mode } = this.page.state;
    const words = { quantity: quantityOf(viewOf(this.shown)), unit: part.unit ?? "log-odds", mode };
    if (this.kind !== "difference") return valueUnder(this.map, x, y, words);
    return differenceUnder(this.map, x, y, { ...words, name: panel.name });
  }
}

function viewOf({ panel, view, part }) {
  return panel.kind === MASK ? part : view;
}

function whyNot({ look, other }, isDifference) {
  return look && (other || !isDifference) ? "no map" : "not looked at";
}

// What is to be said of a picture in which nothing is to be seen, because there is nothing, or too little for the colours.
function seenOf(map, quantity, settings, constants) {
  if (map.state === "empty") return `no ${quantity}: 0 everywhere`;
  if (map.state || !isUnseen(map, settings, constants)) return map.state;
  if (settings.mode === "shape") return `at most ${Number((map.maximum / Math.max(map.magnitude, 1e-30)).toPrecision(2))} times its own mean: too weak to be seen`;
  return `at most ${Number((map.scale.by_area ? map.area * map.maximum : map.maximum).toPrecision(2))}: too weak to be seen`;
}

// The map's own cells: what lies between their middles is interpolated.
function drawGrid(canvas, { height: rows, width: columns }) {
  if (Math.max(rows, columns) > FINE) return;
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff38";
  for (let row = 1; row < rows; row += 1) context.fillRect(0, Math.round((row * canvas.height) / rows), canvas.width, 1);
  for (let column = 1; column < columns; column += 1) context.fillRect(Math.round((column * canvas.width) / columns), 0, 1, canvas.height);
}
