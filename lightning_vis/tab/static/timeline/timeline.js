// The timeline: one chart that is also the scrubber of all pages. Any scalar of the runs can be drawn on it, or one image's own.

import { element, replace } from "../page/dom.js";
import { whenAt } from "../page/looks.js";
import { leastMoved, truthOf } from "../page/words.js";
import { drawChart, lookUnder } from "./chart.js";
import { isOfImages, namesOf, ofImages, pointsOf, preferred } from "./scalars.js";
import { scaleOf } from "./axes.js";
import { Logged } from "./training_scalars.js";

export class Timeline {
  constructor(page) {
    this.page = page;
    this.logged = new Logged(page.source, () => page.draw());
    this.button = element("button", { type: "button", className: "play", onclick: () => (page.isPlaying ? page.stop() : page.play()) });
    this.when = element("strong", { className: "when" });
    this.count = element("span", { className: "quiet" });
    this.alerts = element("span", { className: "alerts" });
    this.one = element("button", {
      type: "button", className: "one", title: "back to the line of all images (Esc)", onclick: () => page.change({ image: null }),
    });
    this.scalar = element("select", { "aria-label": "what the chart shows", onchange: () => page.change({ scalar: this.scalar.value }) });
    this.canvas = element("canvas", {
      className: "chart", role: "slider", tabIndex: 0, "aria-label": "moment of the training", "aria-valuemin": 0,
      onpointerdown: (event) => this.onDown(event), onpointermove: (event) => this.onMove(event),
    });
    this.live = element("div", { className: "unseen", "aria-live": "polite" });
    const bar = element("div", { className: "bar" }, this.button, this.when, this.count, this.alerts, this.one, this.scalar);
    this.root = element("footer", {}, bar, this.canvas, this.live);
  }

  // What a run has logged is read again when it has gone on.
  forget(run) {
    this.logged.forget(run);
  }

  update(model) {
    this.updateButtons(model);
    const names = namesOf(model, this.logged);
    const scalar = this.scalarOf(names);
    replace(this.scalar, JSON.stringify(names), () => grouped(names));
    this.scalar.value = scalar;
    this.updateAlerts(model);
    this.updateOne(model, scalar);
    this.draw(model, scalar);
  }

  updateButtons(model) {
    this.button.textContent = this.page.isPlaying ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", this.page.isPlaying ? "pause" : "play");
    this.button.title = "play and pause (space); one look back or on: arrow keys";
    const when = whenAt(model, model.index);
    this.when.textContent = when;
    this.count.textContent = `look ${model.index + 1} of ${model.positions.length}`;
    this.canvas.setAttribute("aria-valuemax", model.positions.length - 1);
    this.canvas.setAttribute("aria-valuenow", model.index);
    this.canvas.setAttribute("aria-valuetext", when);
    if (!this.page.isPlaying) this.live.textContent = when;
  }

  // One line of each run: since when the alert stood, and how it stands at the newest look. Many of them open at a press.
  updateAlerts(model) {
    const lit = model.runs.map(alertOf).filter(Boolean);
    const known = lit.map(({ run, text, isPast }) => [run.name, text, isPast]);
    replace(this.alerts, JSON.stringify(known), () => {
      const flags = lit.map((each) => this.flagOf(each));
      if (flags.length < 2) return flags;
      const now = lit.filter((each) => !each.isPast).length;
      const summary = element("summary", { textContent: `⚑ background: ${now} of ${model.runs.length} runs now${now < lit.length ? `, ${lit.length - now} before` : ""}` });
      return [element("details", {}, summary, element("div", { className: "lines" }, ...flags))];
    });
  }

  flagOf({ run, look, text, isPast }) {
    return element("button", {
      type: "button", className: isPast ? "flag past" : "flag", textContent: text, title: "the first look at which the alert stood: go there",
      onclick: () => this.page.go(this.page.model.positions.indexOf(look.steps)),
    });
  }

  updateOne(model, scalar) {
    this.one.hidden = model.image === null;
    if (model.image === null) return;
    const inputs = model.runs.find((run) => run.inputs)?.inputs;
    const name = [`image ${model.image + 1}`, truthOf(inputs, model.image)].filter(Boolean).join(", ");
    this.one.textContent = `${name}${isOfImages(scalar, model) ? "" : ": not known of one image"} ✕`;
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
    const isOne = model.image !== null && isOfImages(scalar, model);
    const lines = (image) => model.runs.map((run) => pointsOf(run, scalar, model, this.logged, image));
    const [all, shown] = [lines(null), isOne ? lines(model.image) : null];
    const series = model.runs.map((run, at) => ({ run, points: (shown || all)[at], behind: isOne ? all[at] : [] }));
    const scale = scaleOf(scalar, series.flatMap(({ points, behind }) => [...points, ...behind].map((point) => point[1])), leastOf(model.runs));
    this.place = drawChart(this.canvas, width, { model, series, scale });
  }

  onDown(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.page.stop();
    this.scrub(event);
  }

  onMove(event) {
    if (event.buttons & 1 && this.canvas.hasPointerCapture(event.pointerId)) this.scrub(event);
  }

  scrub(event) {
    this.page.go(lookUnder(event.offsetX, this.place, this.page.model));
  }
}

function alertOf(run) {
  const isLit = (look) => look.numbers["reliance/alert"] >= 0.5;
  const asked = run.looks.filter((look) => look.numbers["reliance/alert"] !== undefined);
  const look = asked.find(isLit);
  if (!look) return null;
  const last = asked[asked.length - 1];
  const gone = asked.slice(asked.findLastIndex(isLit) + 1)[0];
  const until = gone ? `, gone since ${gone.when}` : last === look ? "" : `, still at ${last.when}`;
  return { run, look, isPast: Boolean(gone), text: `⚑ ${run.name}: background, from ${look.when}${until}` };
}

function leastOf(runs) {
  return runs.map((run) => leastMoved(run.looks[run.looks.length - 1])).find((each) => each !== null) ?? null;
}

function grouped(names) {
  return [...new Set(names.map((each) => each.group))].map((label) => element(
    "optgroup", { label }, ...names.filter((each) => each.group === label).map(({ value, text }) => element("option", { value, textContent: text })),
  ));
}
