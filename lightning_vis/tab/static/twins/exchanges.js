// Exchanges: an object in its own surroundings, in others of its class, in those of another one; the verdict, and the rows that it speaks of.

import { mark } from "../picture/cell.js";
import { element, fitCanvas, replace } from "../page/dom.js";
import { lookAt } from "../page/looks.js";
import { Sheets } from "./sheets.js";

const EXCHANGE = "exchange";
const COLUMNS = ["image", "same class", "other class"];
const [SIDE, SAYS] = [128, ": says "]; // between the picture's place and its answer, in a caption

export class Exchanges {
  constructor(page, run) {
    this.page = page;
    this.run = run;
    this.tiles = [];
    this.shown = []; // the parts whose pictures stand here
    this.sentence = element("p", { className: "effects verdict" });
    this.rows = element("div", { className: "tiles exchanges" });
    this.sheets = new Sheets(page, run);
    this.root = element("div", {}, this.sentence, this.rows, this.sheets.root);
  }

  // Of the newest look that exchanged something, at the moment or before. Returns the state of its pictures.
  update(run, steps) {
    const look = lookAt(run.looks.filter((each) => each.verdict), steps);
    const part = look?.pictures[EXCHANGE];
    this.root.hidden = !look;
    this.shown = look ? [part, ...this.sheets.partsOf(run, steps)] : [];
    if (!look) return "shown";
    this.sentence.textContent = `${look.when}: ${look.verdict.sentence}`;
    this.sentence.dataset.state = String(look.verdict.state);
    this.sentence.hidden = look.verdict.picture === "twins" && look === lookAt(run.looks, steps); // it stands above the twins
    replace(this.rows, part?.key || "none", () => this.build(part, look.verdict));
    const states = [part ? this.paint(part) : "shown", ...this.sheets.update(run, steps)];
    return states.includes("loading") ? "loading" : states[0];
  }

  // Those that the sentence speaks of come first, each with the number that it has there.
  build(part, verdict) {
    this.tiles = [];
    const numbers = [...Array(Math.floor((part?.count || 0) / COLUMNS.length)).keys()];
    const isOfThese = Array.isArray(verdict.rows) && verdict.picture !== "twins"; // else its numbers are those of twins
    const isCounted = isOfThese && verdict.state !== "not measured"; // such a verdict has a row to look at, and counts nothing
    const named = isCounted ? verdict.rows.filter((row) => numbers.includes(row)) : [];
    return [...new Set([...named, ...numbers])].map((number) => this.row(number, named.includes(number)));
  }

  row(number, isNamed) {
    const title = element("div", { className: "small quiet", textContent: `exchange ${number + 1}` });
    const tiles = COLUMNS.map((column, at) => {
      const canvas = element("canvas", { role: "img" });
      const tile = { canvas, index: COLUMNS.length * number + at, column, state: element("span", { className: "state" }), says: element("figcaption"), place: element("div", { className: "small quiet" }) };
      this.tiles.push(tile);
      return element("figure", {}, element("div", { className: "photo" }, canvas, tile.state), tile.says, tile.place);
    });
    return element("figure", { className: isNamed ? "object named" : "object" }, title, element("div", { className: "tiles" }, ...tiles));
  }

  paint(part) {
    const { painter, captions } = this.page;
    const found = painter.stateOf([part]);
    const known = captions.of(part);
    for (const tile of this.tiles) {
      fitCanvas(tile.canvas, SIDE, Math.round((SIDE * part.size[0]) / part.size[1]));
      const isShown = found === "shown" && painter.paintPicture(tile.canvas, part, tile.index);
      mark(tile, isShown ? "shown" : found === "shown" ? "missing" : found);
      const [place, answer] = split(known?.[tile.index] || "");
      tile.says.textContent = answer && `says ${answer}`;
      tile.place.textContent = tile.place.title = place || tile.column;
      tile.canvas.setAttribute("aria-label", `exchange ${Math.floor(tile.index / COLUMNS.length) + 1}, ${tile.column}, run ${this.run}: ${place}${answer && `, says ${answer}`}`);
    }
    return found === "shown" && captions.isLoading(part) ? "loading" : found;
  }
}

// "1: bird, surroundings of mammal: says mammal 0.93" to its place and its answer.
function split(caption) {
  const at = caption.lastIndexOf(SAYS);
  return at < 0 ? [caption, ""] : [caption.slice(0, at).replace(/^\d+: /, ""), caption.slice(at + SAYS.length)];
}
