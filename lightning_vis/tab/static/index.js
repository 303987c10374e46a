// The page: loads what is shown, keeps it up to date, and hands every change to the parts of the page.

import { Compare } from "./compare/compare.js";
import { Film } from "./film/film.js";
import { Filters } from "./filters/filters.js";
import { Controls } from "./page/controls.js";
import { element } from "./page/dom.js";
import { followTheme, hostWindow, onReload } from "./page/host.js";
import { onKey } from "./page/keys.js";
import { mergedStreams, modelOf } from "./page/looks.js";
import { exportedSource, serverSource } from "./page/source.js";
import { readState, writeState } from "./page/url_state.js";
import { parsedConstants } from "./picture/colours.js";
import { Painter } from "./picture/painter.js";
import { Timeline } from "./timeline/timeline.js";
import { Twins } from "./twins/twins.js";

const POLL = 5000;
const FIRST_RUNS = 4; // shown where nobody has chosen
const FILM_SECONDS = 12;

export async function render(exported = null) {
  const page = new Page(exported ? exportedSource(exported) : serverSource());
  await page.start();
  return page;
}

class Page {
  constructor(source) {
    this.source = source;
    this.host = hostWindow();
    this.state = readState(this.host);
    this.listed = []; // all runs
    this.loaded = new Map(); // run -> streams
    this.newest = new Map(); // run -> until when it has been loaded
    this.isPlaying = false;
  }

  async start() {
    document.documentElement.lang = "en";
    if (this.source.isLive) document.head.append(element("link", { rel: "stylesheet", href: "static/style.css" }));
    this.message = element("div", { className: "message", role: "status" });
    document.body.append(this.message);
    this.say("Loading frames …");
    try {
      const { runs, constants } = await this.source.runs();
      this.listed = runs;
      this.painter = new Painter(this.source, parsedConstants(constants));
      this.build();
      await this.refresh();
    } catch (error) {
      this.say(`Nothing could be loaded: ${error.message}`);
    }
    // TensorBoard opens a tab without its having the keyboard; keys should work before the first click.
    if (this.host !== window && this.host.document.activeElement === this.host.document.body) window.focus();
    if (this.source.isLive) setInterval(() => document.hidden || this.poll(), POLL);
    if (this.source.isLive && this.host !== window) onReload(this.host, () => this.poll());
  }

  build() {
    this.controls = new Controls(this);
    this.stage = element("main", { className: "stage", tabIndex: -1 });
    this.views = {
      compare: new Compare(this), film: new Film(this), filters: new Filters(this), twins: new Twins(this),
    };
    this.timeline = new Timeline(this);
    document.body.append(this.controls.root, this.stage, this.timeline.root);
    document.addEventListener("keydown", (event) => onKey(this, event));
    new ResizeObserver(() => this.draw()).observe(this.stage);
    window.addEventListener("resize", () => this.draw());
    this.host.addEventListener("hashchange", () => this.followAddress());
    followTheme(this.host, () => this.draw());
  }

  // A link that is pasted over the page's own address changes what is shown, without a reload.
  followAddress() {
    const state = readState(this.host);
    if (JSON.stringify(state) !== JSON.stringify(this.state)) this.change(state);
  }

  get shownRuns() {
    const known = this.listed.map((each) => each.run);
    const chosen = (this.state.runs || known.slice(0, FIRST_RUNS)).filter((run) => known.includes(run));
    return chosen.length ? chosen : known.slice(0, FIRST_RUNS);
  }

  async poll() {
    try {
      this.listed = (await this.source.runs()).runs;
      await this.refresh();
    } catch { /* TensorBoard is gone for a moment; the next poll tries again */ }
  }

  // Loads what is new of the runs that are shown.
  async refresh() {
    const stale = this.shownRuns.filter((run) => {
      const listed = this.listed.find((each) => each.run === run);
      return !this.newest.has(run) || listed.newest > this.newest.get(run);
    });
    await Promise.all(stale.map((run) => this.load(run)));
    this.draw();
  }

  async load(run) {
    const { streams, newest } = await this.source.looks(run, this.newest.get(run) || 0);
    let merged = mergedStreams(this.loaded.get(run) || [], streams);
    // A look that stands under another name now is known under its old one alone: all are asked for again.
    if (merged.some((stream) => stream.looks.length < stream.places.length)) merged = (await this.source.looks(run, 0)).streams;
    this.newest.set(run, newest);
    this.loaded.set(run, merged);
    this.timeline?.forget(run);
  }

  change(changes) {
    Object.assign(this.state, changes);
    const needsData = this.shownRuns.some((run) => !this.newest.has(run));
    if (needsData) this.refresh().catch((error) => this.say(`A run could not be loaded: ${error.message}`));
    this.draw();
  }

  // Shows a position of the timeline. At the last one the page follows the training.
  go(index) {
    const model = this.model;
    const at = Math.min(model.positions.length - 1, Math.max(0, index));
    this.change({ steps: at === model.positions.length - 1 ? null : model.positions[at], epoch: null });
  }

  async play() {
    if (this.isPlaying || this.model.positions.length < 2) return;
    this.isPlaying = true;
    if (this.model.index === this.model.positions.length - 1) this.go(0);
    while (this.isPlaying && this.model.index < this.model.positions.length - 1) {
      const pause = Math.min(400, Math.max(60, (FILM_SECONDS * 1000) / this.model.positions.length));
      await Promise.all([this.current.ready(this.model.index + 1), new Promise((done) => setTimeout(done, pause))]);
      if (this.isPlaying) this.go(this.model.index + 1);
      this.current.ready(this.model.index + 2);
    }
    this.stop();
  }

  stop() {
    this.isPlaying = false;
    this.timeline.update(this.model);
  }

  // Where nobody has chosen, the page opens on what there is.
  get tab() {
    return this.state.tab || (!this.model.views.length && this.views.filters.namesOf(this.model).length ? "filters" : "compare");
  }

  get current() {
    return this.views[this.tab];
  }

  colourOf(run) {
    const at = this.listed.findIndex((each) => each.run === run);
    return `--run-${(at < 0 ? 0 : at) % 8}`;
  }

  draw() {
    const shown = this.shownRuns.filter((run) => this.loaded.has(run));
    const colours = new Map(shown.map((run) => [run, this.colourOf(run)]));
    this.model = modelOf({ ...this.state, runs: shown }, this.loaded, colours);
    const isEmpty = !this.model.positions.length;
    this.say(isEmpty ? emptyText(this.listed.length) : "");
    for (const part of [this.controls.root, this.stage, this.timeline.root]) part.hidden = isEmpty;
    if (isEmpty) return;
    this.controls.update(this.model);
    if (this.stage.firstChild !== this.current.root) this.stage.replaceChildren(this.current.root);
    this.current.update(this.model);
    this.timeline.update(this.model);
    const look = this.model.runs.flatMap((run) => run.looks).find((each) => each.steps === this.model.steps);
    writeState(this.host, { ...this.state, tab: this.tab, epoch: this.state.steps === null ? null : look?.epoch ?? this.state.epoch });
  }

  say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  nextView() {
    const keys = this.model.views.map((view) => view.key);
    this.change({ view: keys[(keys.indexOf(this.model.view?.key) + 1) % keys.length] });
  }
}

function emptyText(runs) {
  return runs ? "These runs have no frames yet. The first one is written before the first training step."
    : "No frames yet: add ProbeCallback() to the Trainer's callbacks. The first frame is written before the first training step.";
}
