// What was found with a pool of images: class by class what follows the surroundings, the patches that convince, the surest answers.

import { mark } from "../picture/cell.js";
import { element, fitCanvas, replace } from "../page/dom.js";
import { lookAt } from "../page/looks.js";

const SIDE = 128;
const SAYS = ": says "; // before an answer, in a caption
const SHEETS = {
  convinces: "What convinces it: a patch of an image of the class (bright), pasted on an image of another class (beside it). An orange frame: it is answered the patch's class. Random patches are the control.",
  sure: "The surest mistakes (orange frame), then the surest hits.",
};

export class Sheets {
  constructor(page, run) {
    this.page = page;
    this.run = run;
    this.tiles = {};
    this.matrix = element("div", { className: "small across" });
    this.parts = Object.keys(SHEETS).map((name) => ({ name, root: element("div", { className: "sheet" }) }));
    this.root = element("div", { className: "exchanges" }, this.matrix, ...this.parts.map((each) => each.root));
  }

  // Each of the newest look that has it, at the moment or before. Returns the states of its pictures.
  update(run, steps) {
    const look = lookAt(run.looks.filter((each) => soundCells(each.verdict?.cells).length), steps);
    const cells = soundCells(look?.verdict.cells);
    replace(this.matrix, JSON.stringify([look?.when, cells]), () => (look ? [matrixOf(cells, look.when)] : []));
    return this.parts.map(({ name, root }) => this.show(name, root, lookAt(run.looks.filter((each) => each.pictures[name]), steps)));
  }

  partsOf(run, steps) {
    return this.parts.map(({ name }) => lookAt(run.looks.filter((each) => each.pictures[name]), steps)?.pictures[name]);
  }

  show(name, root, look) {
    const part = look?.pictures[name];
    root.hidden = !part;
    if (!part) return "shown";
    const { painter, captions } = this.page;
    const found = painter.stateOf([part]);
    const known = captions.of(part) || [];
    replace(root, JSON.stringify([part.key, known]), () => this.build(name, look, part, known));
    for (const tile of this.tiles[name]) {
      fitCanvas(tile.canvas, SIDE, Math.round((SIDE * part.size[0]) / part.size[1]));
      const isShown = found === "shown" && painter.paintPicture(tile.canvas, part, tile.index);
      mark(tile, isShown ? "shown" : found === "shown" ? "missing" : found);
    }
    return found === "shown" && captions.isLoading(part) ? "loading" : found;
  }

  // A caption is said once, above the pictures that share it.
  build(name, look, part, known) {
    const title = element("p", { className: "quiet effects", textContent: `${look.when}: ${SHEETS[name]}` });
    const groups = new Map();
    this.tiles[name] = [...Array(part.count).keys()].map((index) => {
      const header = name === "convinces" ? known[index - (index % 2)] || "" : "";
      const tile = this.tile(name, index, known[index] || "", header);
      groups.set(header, [...(groups.get(header) || []), tile.figure]);
      return tile;
    });
    return [title, ...[...groups].map(([header, figures]) => element("figure", { className: "object" }, element("div", { textContent: header }), element("div", { className: "tiles" }, ...figures)))];
  }

  tile(name, index, caption, header) {
    const canvas = element("canvas", { role: "img", "aria-label": `${name}, ${index + 1}, run ${this.run}: ${caption}` });
    const state = element("span", { className: "state" });
    const at = caption.lastIndexOf(SAYS);
    const [place, answer] = caption === header ? ["its patch", ""] : at < 0 ? [caption, ""] : [caption.slice(0, at), `says ${caption.slice(at + SAYS.length)}`];
    const figure = element("figure", {}, element("div", { className: "photo" }, canvas, state), element("figcaption", { textContent: answer }), element("div", { className: "small quiet place", textContent: place, title: place }));
    return { canvas, index, state, figure };
  }
}

function soundCells(cells) {
  const isSound = (each) => Array.isArray(each) && typeof each[0] === "string" && typeof each[1] === "string" && each[3] > 0 && each[2] >= 0 && each[2] <= each[3];
  return Array.isArray(cells) ? cells.filter(isSound) : [];
}

// Rows: the objects' classes; columns: those that their surroundings come from. The worst cell stands first in both.
function matrixOf(cells, when) {
  const [labels, hosts] = [0, 1].map((at) => [...new Set(cells.map((each) => each[at]))]);
  const cellOf = (label, host) => cells.find((each) => each[0] === label && each[1] === host);
  const head = element("tr", {}, element("th", {}), ...hosts.map((host) => element("th", { textContent: host })));
  const rows = labels.map((label) => element("tr", {}, element("th", { textContent: label }), ...hosts.map((host) => cellIn(cellOf(label, host), label, host))));
  const caption = element("caption", { className: "quiet", textContent: `${when}: how often the class of the surroundings is answered; rows: objects, columns: surroundings` });
  return element("table", { className: "matrix" }, caption, element("thead", {}, head), element("tbody", {}, ...rows));
}

function cellIn(cell, label, host) {
  if (!cell) return element("td", {});
  const [, , follows, of] = cell;
  const found = element("td", { textContent: `${follows}/${of}`, title: `${label} in the surroundings of ${host}: called ${host} in ${follows} of ${of} exchanges` });
  found.style.background = `color-mix(in srgb, var(--wrong) ${Math.round((100 * follows) / of)}%, transparent)`;
  return found;
}
