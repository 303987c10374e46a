// The film of one run's filters: a row for each filter of the look shown, a column for each look, as on the cards.

import { Stops } from "../access/stops.js";
import { element, fitCanvas, replace } from "../page/dom.js";
import { thinned } from "../page/looks.js";

export const SMALL = 56;
export const LEFT = 92; // for the names of the filters
const OUTPUT = "filters/<output>";

export class FilterFilm {
  constructor(run, isOpen, onChoose) {
    this.run = run;
    this.onChoose = onChoose;
    this.times = element("div", { className: "row times", role: "group", "aria-label": "moments: go there" });
    this.stops = new Stops(this.times, "button");
    this.rows = element("div");
    this.tiles = [];
    this.root = element("details", { open: isOpen }, element("summary", { textContent: "over time" }), this.times, this.rows);
  }

  // `now` is the part whose filters are the rows.
  update(looks, name, now, { columns, side }) {
    const shown = thinned(looks.length, columns).map((at) => looks[at]);
    const kind = name === OUTPUT ? "class" : "channel";
    const structure = JSON.stringify([name, side, shown.map((look) => [look.steps, look.when, look.pictures[name].key])]);
    replace(this.times, structure, () => this.headsOf(shown, kind, side));
    this.stops.settle();
    replace(this.rows, JSON.stringify([structure, now.names]), () => {
      this.tiles = [];
      return [...new Set(now.names || [])].map((filter) => this.row(shown, { name, kind, filter, side }));
    });
    const ratio = now.size[0] / now.size[1];
    for (const { canvas } of this.tiles) fitCanvas(canvas, side, Math.round(side * ratio));
  }

  headsOf(shown, kind, side) {
    const heads = shown.map((look) => element("button", {
      type: "button", textContent: look.when, title: `${look.when}: go there`, onclick: () => this.onChoose(look),
    }));
    for (const head of heads) head.style.width = `${side}px`;
    return [element("span", { className: "quiet small", textContent: kind }), ...heads];
  }

  row(shown, { name, kind, filter, side }) {
    const label = element("span", { className: "quiet small name", textContent: filter, title: `${kind} ${filter}` });
    return element("div", { className: "row" }, label, ...shown.map((look) => {
      const part = look.pictures[name];
      const index = (part.names || []).indexOf(filter);
      const where = `${name} ${filter}, run ${this.run}, ${look.when}`;
      return index < 0 ? missing(where, side) : this.tile(part, index, where);
    }));
  }

  tile(part, index, where) {
    const state = part.dead?.includes(index) ? "dead" : part.prefers_probe?.includes(index) ? "it prefers a probe image" : "";
    const label = state ? `${where}: ${state}` : where;
    const canvas = element("canvas", { role: "img", "aria-label": label, title: label });
    const words = element("span", { className: "state" });
    this.tiles.push({ part, index, canvas, state: words });
    return element("figure", { className: state ? "marked" : "" }, element("div", { className: "photo" }, canvas, words));
  }
}

// A filter that this look did not have.
function missing(where, side) {
  const figure = element("figure", { className: "missing", role: "img", "aria-label": `${where}: not looked at`, title: `${where}: not looked at` });
  figure.style.width = `${side}px`;
  return figure;
}
