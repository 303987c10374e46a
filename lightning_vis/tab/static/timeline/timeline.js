// The timeline: one chart that is also the scrubber of all pages. Any scalar of the runs can be drawn on it, or one image's own.

import { closeOverlays } from "../access/overlays.js";
import { element, labelled, replace, say } from "../page/dom.js";
import { whenAt } from "../page/looks.js";
import { leastMoved, truthOf } from "../page/words.js";
import { Latest } from "../picture/cache.js";
import { alertsOf } from "./alerts.js";
import { Chart, lookUnder } from "./chart.js";
import { isOfImages, loggedOf, namesOf, ofImages, preferred, seriesOf, valueAt } from "./scalars.js";
import { scaleOf } from "./axes.js";
import { Logged } from "./training_scalars.js";

const SPEEDS = [["0.25", "¼ ×"], ["0.5", "½ ×"], ["1", "1 ×"], ["2", "2 ×"], ["4", "4 ×"], ["every", "every look"]];
const AXIS = "moments by epochs or by steps";
const BACK = "Press for the line of all images (Esc)";
const LISTED = 12; // runs whose values are said under the pointer
const FEW = 16; // looks from which on there is something to zoom into

export class Timeline {
  constructor(page) {
    this.page = page;
    this.logged = new Logged(page.source, () => page.draw());
    this.button = element("button", { type: "button", className: "play", onclick: () => (page.isPlaying ? page.stop() : page.play()) });
    this.when = element("strong", { className: "when" });
    this.count = element("span", { className: "quiet" });
    this.alerts = element("span", { className: "alerts" });
    this.one = element("button", {
      type: "button", className: "one", onclick: () => page.change({ image: null }),
    });
    this.scalar = element("select", { className: "scalar", "aria-label": "what the chart shows", onchange: () => page.change({ scalar: this.scalar.value }) });
    this.canvas = element("canvas", {
      className: "chart", role: "slider", tabIndex: 0, "aria-label": "moment of the training", "aria-valuemin": 0,
      onpointerdown: (event) => this.onDown(event), onpointermove: (event) => this.onMove(event), onpointerleave: () => this.point(null),
    });
    this.chart = new Chart(this.canvas);
    this.latest = new Latest();
    this.live = element("div", { className: "unseen", "aria-live": "polite" });
    this.pointed = element("div", { className: "pointed", hidden: true });
    this.makeTools();
    const bar = element("div", { className: "bar" }, this.button, this.speed, this.when, this.count, this.zooms, this.moments, this.alerts, this.one, this.axis, labelled("smooth", this.smooth), this.scalar, this.more);
    this.root = element("footer", {}, element("h2", { className: "unseen", textContent: "Timeline" }), bar, element("div", { className: "plot" }, this.canvas, this.pointed), this.live);
  }

  makeTools() {
    const { page } = this;
    const button = (textContent, title, onclick) => element("button", { type: "button", textContent, title, "aria-label": title, onclick });
    this.speed = element("select", { className: "speed", title: "speed of the film", "aria-label": "speed of the film", onchange: () => page.change({ speed: this.speed.value }) });
    this.speed.append(...SPEEDS.map(([value, textContent]) => element("option", { value, textContent })));
    this.zoomOut = button("−", "see more of the film (-)", () => page.zoom(false));
    this.zooms = element("span", { className: "zooms" }, button("+", "zoom into the film around this moment (+)", () => page.zoom(true)), this.zoomOut);
    this.against = element("select", { "aria-label": "compare with", title: "a second moment, or another run, and the difference (b)", onchange: () => page.change({ against: this.against.value || null }) });
    this.other = element("input", { type: "range", min: 0, step: 1, "aria-label": "moment B", oninput: () => page.goOther(Number(this.other.value)) });
    this.otherWhen = element("strong", { className: "moment B" });
    this.linked = element("input", { type: "checkbox", onchange: () => page.change({ linked: this.linked.checked, apart: null }) });
    this.second = element("span", { className: "beside" }, this.otherWhen, this.other, labelled("linked", this.linked));
    this.moments = element("span", { className: "moments" }, this.against, this.second);
    this.axis = button("", AXIS, () => page.change({ axis: page.state.axis === "step" ? "epoch" : "step" }));
    this.axis.className = "axis";
    // In a small window the pictures need the room more than what is seldom changed.
    this.more = button("⋯", "more of the timeline: speed, moments, axis, lines; in a low window the chart", () => this.more.setAttribute("aria-expanded", String(this.root.classList.toggle("open"))));
    this.more.className = "more";
    this.more.setAttribute("aria-expanded", "false");
    this.smooth = element("input", { type: "range", min: 0, max: 0.95, step: 0.05, title: "smoothing of the lines", "aria-label": "smoothing of the lines", oninput: () => page.change({ smooth: Number(this.smooth.value) }) });
  }

  updateTools(model) {
    const { state } = this.page;
    this.speed.value = state.speed;
    this.zooms.hidden = model.positions.length < FEW;
    this.zoomOut.disabled = model.low === 0 && model.high === model.positions.length - 1;
    const isOf = this.page.tab === "compare" && model.positions.length > 1;
    const runs = model.runs.length > 1 ? model.runs.map((run) => run.name) : [];
    replace(this.against, JSON.stringify(runs), () => [
      element("option", { value: "", textContent: "this moment alone" }), element("option", { value: "moment", textContent: "and another moment (B)" }),
      ...(runs.length ? [element("optgroup", { label: "minus the run" }, ...runs.map((name) => element("option", { value: `run:${name}`, textContent: name })))] : []),
    ]);
    this.moments.hidden = !isOf;
    this.against.value = state.against || "";
    this.second.hidden = state.against !== "moment";
    this.other.max = model.positions.length - 1;
    this.other.value = model.other;
    say(this.otherWhen, `B ${whenAt(model, model.other)}`);
    this.other.setAttribute("aria-valuetext", whenAt(model, model.other));
    this.linked.checked = state.linked;
    say(this.axis, model.isByStep ? "steps" : "epochs", model.isDisagreed ? "in steps: the epochs of these runs have different lengths" : AXIS);
    this.axis.disabled = model.isDisagreed;
    this.smooth.value = state.smooth;
  }

  get hasOther() {
    return this.page.state.against === "moment" && this.page.tab === "compare";
  }

  // What a run has logged is read again when it has gone on.
  forget(run) {
    this.logged.forget(run);
  }

  update(model) {
    this.updateButtons(model);
    this.updateTools(model);
    const names = namesOf(model, this.logged, this.page.state.scalar);
    const scalar = this.scalarOf(names);
    replace(this.scalar, JSON.stringify(names), () => grouped(names));
    this.scalar.value = scalar;
    this.scalar.title = rawOf(scalar);
    this.updateAlerts(model);
    this.updateOne(model, scalar);
    this.draw(model, scalar);
  }

  updateButtons(model) {
    say(this.button, this.page.isPlaying ? "❚❚" : "▶");
    this.button.setAttribute("aria-label", this.page.isPlaying ? "pause" : "play");
    this.button.title = "play and pause (space); one look back or on: arrow keys";
    const when = whenAt(model, model.index);
    say(this.when, when);
    say(this.count, `look ${model.index + 1} of ${model.positions.length}`);
    this.canvas.setAttribute("aria-valuemax", model.positions.length - 1);
    this.canvas.setAttribute("aria-valuenow", model.index);
    this.canvas.setAttribute("aria-valuetext", when);
    if (!this.page.isPlaying) say(this.live, when);
  }

  // One line of each run: since when the alert stood, and how it stands at the newest look. Many of them open at a press.
  updateAlerts(model) {
    const lit = alertsOf(model.runs);
    const known = lit.map(({ run, text, worst, isPast }) => [run.name, text, worst, isPast]);
    replace(this.alerts, JSON.stringify(known), () => {
      const flags = lit.map((each) => this.flagOf(each, lit.length > 1));
      if (flags.length < 2) return flags;
      const now = lit.filter((each) => !each.isPast).length;
      const summary = element("summary", { title: "press for one line of each run", textContent: `⚑ background: ${now} of ${model.runs.length} runs now${now < lit.length ? `, ${lit.length - now} before` : ""}` });
      const open = Boolean(this.alerts.querySelector("[open]")); // who reads the list while a training goes on has it still
      return [element("details", { className: "over", open }, summary, element("div", { className: "lines" }, ...flags))];
    });
  }

  // In the list there is room for what the verdict begins with; in the bar a pointer has it.
  flagOf({ run, look, text, worst, isPast }, isListed) {
    const hasProof = run.looks.some((each) => each.verdict);
    const title = `${text}${worst}\nThe first look at which the alert stood: go there${hasProof ? ", to this run on the page Twins" : ""}`;
    const go = () => (hasProof ? this.page.prove(run.name, look.steps) : this.page.go(this.page.model.places.get(look.steps)));
    const onclick = () => {
      closeOverlays();
      go();
    };
    return element("button", { type: "button", className: isPast ? "flag past" : "flag", textContent: isListed ? `${text}${worst}` : text, title, onclick });
  }

  updateOne(model, scalar) {
    this.one.hidden = model.image === null;
    if (model.image === null) return;
    const name = [`image ${model.image + 1}`, truthsOf(model.runs, model.image)].filter(Boolean).join(", ");
    if (isOfImages(scalar, model)) say(this.one, `line of ${name} ✕`, `The chart's lines are of ${name} alone, the pale ones of all images. ${BACK}`);
    else say(this.one, `${name}: not known of one image ✕`, BACK);
  }

  scalarOf(names) {
    const { scalar } = this.page.state;
    return names.some((each) => each.value === scalar) ? scalar : preferred(names);
  }

  // The line of one image, of what is on the chart if that is known of single images; chosen again, the line of all.
  choose(image) {
    const { model } = this.page;
    if (model.image === image) return this.page.change({ image: null });
    const names = namesOf(model, this.logged);
    return this.page.change({ image, scalar: ofImages(this.scalarOf(names), names, model) });
  }

  draw(model, scalar) {
    const width = this.root.clientWidth - 28;
    if (width < 50) return;
    Object.assign(this, this.linesOf(model, scalar));
    this.place = this.chart.draw(width, { model, series: this.series, scale: this.scale, hasOther: this.hasOther });
  }

  // Lines and their axis, { series, scale }: the same objects as long as they are of the same numbers.
  linesOf(model, scalar) {
    const { smooth } = this.page.state;
    const parts = [scalar, smooth, model.image, model.positions, ...model.runs.flatMap((run) => [run.looks, run.colour, run.number, loggedOf(run, scalar, this.logged)])];
    return this.latest.of(parts, () => {
      const series = seriesOf(model, scalar, this.logged, smooth);
      const values = series.flatMap(({ points, behind }) => [...points, ...behind].map((point) => point[1]));
      return { series, scale: scaleOf(scalar, values, leastOf(model.runs)) };
    });
  }

  onDown(event) {
    const { model } = this.page;
    this.canvas.setPointerCapture(event.pointerId);
    this.page.stop();
    this.isOther = this.hasOther && (event.shiftKey || Math.abs(event.offsetX - this.place.x(model.other)) < 8);
    this.scrub(event);
  }

  onMove(event) {
    if (event.buttons & 1 && this.canvas.hasPointerCapture(event.pointerId)) this.scrub(event);
    else if (this.place) this.point(event.offsetX);
  }

  // What the lines are at the look under the pointer.
  point(x) {
    this.pointed.hidden = x === null;
    if (x === null) return;
    const { model } = this.page;
    const at = Math.min(model.high, Math.max(model.low, lookUnder(x, this.place, model)));
    const values = this.series.map(({ run, points }) => [run, valueAt(points, at)]).filter(([, value]) => value !== null);
    this.pointed.replaceChildren(element("strong", { textContent: whenAt(model, at) }), ...values.slice(0, LISTED).map(([run, value]) => {
      const line = element("div", { textContent: `${this.scale.say(value)} ${run.name}` });
      line.style.color = `var(${run.colour})`;
      return line;
    }), ...(values.length > LISTED ? [element("div", { className: "quiet", textContent: `and ${values.length - LISTED} more` })] : []));
    const isRight = x > this.canvas.clientWidth / 2;
    Object.assign(this.pointed.style, { left: isRight ? "auto" : `${x + 14}px`, right: isRight ? `${this.canvas.clientWidth - x + 14}px` : "auto" });
  }

  scrub(event) {
    const at = lookUnder(event.offsetX, this.place, this.page.model);
    if (this.isOther) this.page.goOther(at);
    else this.page.go(at);
  }
}

// What is true of an image; where runs look at different photos, of which of them.
function truthsOf(runs, image) {
  const named = new Map();
  for (const run of runs.filter(({ count }) => image < count)) {
    const truth = truthOf(run.inputs, image);
    if (truth) named.set(truth, [...(named.get(truth) || []), run.name]);
  }
  if (named.size < 2) return [...named.keys()].join("");
  return [...named].map(([truth, [first, ...others]]) => `${truth} (${first}${others.length ? ` and ${others.length} more` : ""})`).join(", ");
}

function leastOf(runs) {
  return runs.map((run) => leastMoved(run.looks[run.looks.length - 1])).find((each) => each !== null) ?? null;
}

// A name as loggers and callbacks have it.
function rawOf(value) {
  return value.replace(/^logged:/, "");
}

function grouped(names) {
  return [...new Set(names.map((each) => each.group))].map((label) => element(
    "optgroup", { label }, ...names.filter((each) => each.group === label).map(({ value, text, isOff }) => element("option", { value, textContent: text, title: rawOf(value), disabled: Boolean(isOff) })),
  ));
}
