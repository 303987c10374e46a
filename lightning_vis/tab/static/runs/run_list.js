// Which runs are shown: a list that is searched by words or a regular expression, and those that are left out, a press away.

import { Stops } from "../access/stops.js";
import { element, replace, say } from "../page/dom.js";
import { runFilterOf } from "../page/host.js";

const MANY = 1; // runs from which on a search is of use

export class RunList {
  constructor(page) {
    this.page = page;
    this.summary = element("summary");
    this.search = element("input", { type: "search", value: runFilterOf(page.host), placeholder: "search, or a regular expression", "aria-label": "search runs", oninput: () => this.update() });
    this.all = element("button", { type: "button", textContent: "show these", onclick: () => this.choose(this.found) });
    this.none = element("button", { type: "button", textContent: "hide these", onclick: () => this.choose(this.page.shownRuns.filter((run) => !this.found.includes(run))) });
    this.count = element("span", { className: "quiet" });
    this.tools = element("div", { className: "tools" }, this.search, this.all, this.none, this.count);
    this.rows = element("div");
    this.root = element("details", { className: "runs over" }, this.summary, element("div", { className: "list" }, this.tools, this.rows));
    this.others = element("div", { className: "others", role: "group", "aria-label": "runs that are not shown" });
    this.stops = new Stops(this.others, "button");
  }

  get names() {
    return this.page.stock.names;
  }

  get found() {
    return foundIn(this.names, this.search.value);
  }

  update() {
    const { names, found } = this;
    const shown = this.page.shownRuns;
    say(this.summary, `${shown.length} of ${names.length} run${names.length === 1 ? "" : "s"}`);
    this.tools.hidden = names.length <= MANY;
    say(this.count, this.search.value ? `${found.length} found` : "");
    replace(this.rows, JSON.stringify([found, shown]), () => found.map((name) => this.row(name, shown.includes(name))));
    const { loaded, failed } = this.page.stock;
    this.updateOthers(names.filter((name) => !shown.includes(name)), shown.filter((name) => !loaded.has(name) && !failed.has(name)));
  }

  row(name, checked) {
    const box = element("input", { type: "checkbox", checked, value: name, onchange: () => this.toggle(name, box.checked) });
    const only = element("button", { type: "button", className: "only", textContent: "only", "aria-label": `show ${name} only`, onclick: () => this.choose([name]) });
    return element("div", { className: "entry" }, element("label", {}, box, markOf(this.page, name), element("span", { textContent: name })), only);
  }

  // What is not shown, or not yet, stands below what is.
  updateOthers(hidden, awaited) {
    this.others.hidden = !hidden.length && !awaited.length;
    replace(this.others, JSON.stringify([hidden, awaited]), () => [
      ...(awaited.length ? [element("span", { className: "quiet", textContent: `loading ${awaited.join(", ")} …` })] : []),
      ...(hidden.length ? [element("span", { className: "quiet", textContent: `${hidden.length} more:` })] : []),
      ...hidden.map((name) => element("button", { type: "button", title: `show ${name} too`, onclick: () => this.toggle(name, true) }, markOf(this.page, name), name)),
    ]);
    this.stops.settle();
  }

  toggle(name, isShown) {
    const chosen = new Set(this.page.shownRuns);
    if (isShown) chosen.add(name);
    else chosen.delete(name);
    this.choose(chosen);
  }

  choose(runs) {
    const chosen = new Set(runs);
    if (chosen.size) this.page.change({ runs: this.names.filter((run) => chosen.has(run)) });
  }
}

// The names that a search finds: by a regular expression, or, where it is none, by the text itself.
export function foundIn(names, search) {
  const text = search.trim();
  try {
    const pattern = new RegExp(text, "i");
    return names.filter((name) => pattern.test(name));
  } catch {
    return names.filter((name) => name.toLowerCase().includes(text.toLowerCase()));
  }
}

export function markOf(page, name) {
  const number = page.marks.numberOf(name);
  const mark = element("span", { className: "mark", textContent: number ? String(number + 1) : "", "aria-hidden": "true" });
  mark.style.background = `var(${page.marks.colourOf(name)})`;
  return mark;
}
