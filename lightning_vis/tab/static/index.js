// The page: loads what is shown, keeps it up to date, and hands every change to the parts of the page.

import { copied } from "./access/clipboard.js";
import { handBack } from "./access/fields.js";
import { keeping } from "./access/focus.js";
import { closeOverlays, watchOverlays } from "./access/overlays.js";
import { Cell } from "./cell/cell.js";
import { Compare } from "./compare/compare.js";
import { Film } from "./film/film.js";
import { Filters } from "./filters/filters.js";
import { Banner } from "./page/banner.js";
import { Captions } from "./picture/captions.js";
import { Controls } from "./page/controls.js";
import { element, isFlowing } from "./page/dom.js";
import { Help } from "./page/help.js";
import { followMedia, followTheme, hostWindow, onReload, runFilterOf } from "./page/host.js";
import { onKey } from "./page/keys.js";
import { foundIn } from "./runs/run_list.js";
import { Marks } from "./runs/marks.js";
import { Stock } from "./runs/stock.js";
import { modelOf } from "./page/looks.js";
import { exportedSource, serverSource } from "./page/source.js";
import { flushAddress, isForeign, linkTo, readState, writeState } from "./page/url_state.js";
import { parsedConstants } from "./picture/colours.js";
import { Painter } from "./picture/painter.js";
import { Timeline } from "./timeline/timeline.js";
import { Twins } from "./twins/twins.js";

const POLL = 5000;
const [FIRST_RUNS, MOST_RUNS] = [4, 12]; // shown where nobody has chosen; where TensorBoard's own filter has
const SOON = 100; // milliseconds in which other runs may come that are on their way
const LOADING = "Loading frames …";
const FILM_SECONDS = 12;
const FASTEST = 60; // milliseconds from look to look
const SAID = 3000; // milliseconds for which it is said that a link was copied
const [GATHER, PATIENCE] = [30, 120]; // milliseconds: pictures of a moment come one by one, and are painted together, if they come soon

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
    this.marks = new Marks();
    this.stock = new Stock(source, { onLoaded: (run) => this.timeline.forget(run), onNews: () => this.news() });
    this.gone = null; // since when TensorBoard has not answered
    this.isPlaying = false;
    this.isDue = false;
    this.newsTimer = 0;
  }

  async start() {
    document.documentElement.lang = "en";
    if (this.source.isLive) document.head.append(element("link", { rel: "stylesheet", href: "static/style.css" }));
    this.message = element("div", { className: "message", role: "status" });
    this.banner = new Banner(() => this.again());
    document.body.append(this.banner.root, this.message);
    this.say(LOADING);
    if (this.source.isLive) setInterval(() => document.hidden || this.poll(), POLL);
    if (this.source.isLive && this.host !== window) onReload(this.host, () => this.poll());
    await this.poll();
    // TensorBoard opens a tab without its having the keyboard; keys should work before the first click.
    if (this.host !== window && this.host.document.activeElement === this.host.document.body) window.focus();
  }

  build(constants) {
    this.painter = new Painter(this.source, parsedConstants(constants), () => this.repaint());
    this.captions = new Captions(this);
    this.help = new Help();
    this.controls = new Controls(this);
    this.stage = element("main", { className: "stage", tabIndex: -1 });
    this.views = {
      compare: new Compare(this), film: new Film(this), filters: new Filters(this), twins: new Twins(this),
    };
    this.timeline = new Timeline(this);
    this.cell = new Cell(this);
    this.banner.root.after(this.controls.root, this.stage, this.timeline.root);
    document.addEventListener("keydown", (event) => onKey(this, event));
    watchOverlays(document);
    handBack(document, () => this.stage.focus({ preventScroll: true }));
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(this.stage); // drawing at once would change what is observed
    window.addEventListener("resize", () => this.draw());
    window.addEventListener("blur", () => this.flush()); // who goes to the address bar finds what is shown there
    this.host.addEventListener("hashchange", () => this.followAddress());
    followTheme(this.host, () => this.draw());
    followMedia(() => this.draw());
  }

  // Pictures have come, or could not be had: the page is painted once for all of them.
  repaint() {
    if (this.isDue) return;
    this.isDue = true;
    this.gather(performance.now() + PATIENCE);
  }

  gather(until) {
    setTimeout(() => {
      if (this.painter.store.pending && performance.now() < until) return this.gather(until);
      this.isDue = false;
      if (!this.model?.positions.length) return undefined;
      keeping(this.stage, () => this.current.update(this.model));
      return this.cell.update(this.model);
    }, GATHER);
  }

  // Asks for all that could not be had.
  again() {
    this.painter?.store.again();
    return this.poll();
  }

  // A link that is pasted over the page's own address changes what is shown, without a reload.
  followAddress() {
    if (!isForeign(this.host)) return;
    const state = readState(this.host);
    if (JSON.stringify(state) !== JSON.stringify(this.state)) this.change(state);
  }

  // Those that were chosen, else those that TensorBoard's own filter finds, else the first ones.
  get shownRuns() {
    const { names } = this.stock;
    const chosen = (this.state.runs || []).filter((run) => names.includes(run));
    if (chosen.length) return chosen;
    const filter = runFilterOf(this.host);
    const found = filter ? foundIn(names, filter).slice(0, MOST_RUNS) : [];
    return found.length ? found : names.slice(0, FIRST_RUNS);
  }

  async poll() {
    if (this.isPolling) return;
    this.isPolling = true;
    await this.ask();
    this.isPolling = false;
    const coming = this.painter && !this.gone ? this.refresh() : null;
    if (this.painter) this.draw();
    else this.say("Nothing has been loaded yet.");
    this.banner.update(this);
    await coming;
  }

  // Which runs there are.
  async ask() {
    try {
      const answer = await this.source.runs();
      this.stock.list(answer);
      this.marks.add(this.stock.names);
      if (!this.painter) this.build(answer.constants);
      if (this.gone) this.painter.store.again();
      this.gone = null;
    } catch (error) {
      console.warn(error);
      this.gone ||= new Date().toLocaleTimeString();
    }
  }

  // Loads what is new of the runs that are shown; what has come is shown, whatever the others do.
  refresh() {
    return this.stock.refresh(this.shownRuns);
  }

  // Runs have come, or could not be had: several of them are drawn at once, the last one without delay.
  news() {
    if (this.stock.asked.size) this.newsTimer ||= setTimeout(() => this.tell(), SOON);
    else this.tell();
  }

  tell() {
    clearTimeout(this.newsTimer);
    this.newsTimer = 0;
    this.draw();
    this.banner.update(this);
  }

  change(changes) {
    Object.assign(this.state, changes);
    if (this.shownRuns.some((run) => this.stock.isNew(run))) this.refresh();
    this.draw();
  }

  // Shows a position of the timeline. At the last one the page follows the training. A linked moment B goes along.
  go(index) {
    const { positions } = this.model;
    const at = Math.min(positions.length - 1, Math.max(0, index));
    this.change({ steps: at === positions.length - 1 ? null : positions[at], epoch: null, ...this.along(at) });
  }

  // At an end of the film B waits there until A is as far from it again as the two were linked.
  along(at) {
    const { model, state } = this;
    if (state.against !== "moment" || !state.linked) return {};
    const apart = state.apart ?? model.other - model.index;
    return { apart, other: model.positions[Math.min(model.positions.length - 1, Math.max(0, at + apart))] };
  }

  // The twins and exchanges of a run as they were at a look, that run first.
  prove(run, steps) {
    this.views.twins.lead(run);
    this.state.tab = "twins";
    this.go(this.model.places.get(steps));
    this.views.twins.scroll();
  }

  open(run, image) {
    this.change({ cell: { run, image } });
  }

  goOther(index) {
    const { positions } = this.model;
    this.change({ against: "moment", apart: null, other: positions[Math.min(positions.length - 1, Math.max(0, index))] });
  }

  // Halves the part of the film that is seen, around the moment; or doubles it again.
  zoom(isIn) {
    const { positions, index, low, high } = this.model;
    const last = positions.length - 1;
    const half = Math.max(2, Math.round((high - low) * (isIn ? 0.25 : 1)));
    const [from, to] = [Math.max(0, index - half), Math.min(last, index + half)];
    this.change({ from: from > 0 ? positions[from] : null, to: to < last ? positions[to] : null });
  }

  async play() {
    if (this.isPlaying || this.model.positions.length < 2) return;
    this.isPlaying = true;
    try {
      await this.goThrough();
    } finally {
      this.stop();
    }
  }

  // A film takes a few seconds at the speed 1, however many looks it has: those between are passed over, the last one never.
  async goThrough() {
    if (this.model.index === this.model.positions.length - 1) this.go(0);
    while (this.isPlaying && this.model.index < this.model.positions.length - 1) {
      const { pause, stride } = paceOf(this.model.positions.length, this.state.speed);
      await Promise.all([this.current.ready(this.model.index + stride), new Promise((done) => setTimeout(done, pause))]);
      if (this.isPlaying) this.go(this.model.index + stride);
      this.current.ready(this.model.index + stride);
    }
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

  draw() {
    keeping(this.stage, () => this.drawAll());
  }

  drawAll() {
    const { stock } = this;
    const shown = this.shownRuns.filter((run) => stock.loaded.has(run));
    const marks = new Map(shown.map((run) => [run, { colour: this.marks.colourOf(run), number: this.marks.numberOf(run) }]));
    this.model = modelOf({ ...this.state, runs: shown }, stock.loaded, marks);
    const isEmpty = !this.model.positions.length;
    this.say(isEmpty ? emptyText(stock, this.shownRuns) : "");
    for (const part of [this.stage, this.timeline.root]) part.hidden = isEmpty;
    this.controls.root.hidden = !stock.listed.length;
    this.controls.update(this.model);
    if (isEmpty) return;
    if (this.stage.firstChild !== this.current.root) this.turnTo(this.current.root);
    this.current.update(this.model);
    this.timeline.update(this.model);
    this.cell.update(this.model);
    writeState(this.host, { ...this.state, tab: this.tab, epoch: this.state.steps === null ? null : this.epoch });
  }

  get epoch() {
    const look = this.model.runs.flatMap((run) => run.looks).find((each) => each.steps === this.model.steps);
    return look?.epoch ?? this.state.epoch;
  }

  // What is shown, with what nobody has chosen: a page that follows its training shows another moment tomorrow, a link does not.
  get pinned() {
    const { model, state } = this;
    const moments = { steps: model.steps ?? null, epoch: this.epoch, other: state.against === "moment" ? model.otherSteps : state.other };
    return { ...state, ...moments, tab: this.tab, runs: this.shownRuns, probe: model.probe ?? null, view: model.view?.key ?? null };
  }

  // A link to what is shown; where the browser does not lend its clipboard, the address bar has it.
  async copyLink(button) {
    const isCopied = await copied(linkTo(this.host, this.pinned), button.parentElement);
    if (!isCopied) {
      this.change(this.pinned);
      this.flush();
    }
    button.textContent = isCopied ? "link copied" : "it is in the address bar";
    setTimeout(() => { button.textContent = "copy link"; }, SAID);
  }

  // Another page begins at its top, however far the one before was scrolled.
  turnTo(root) {
    this.stage.replaceChildren(root, this.controls.runs.others);
    this.stage.scrollTop = 0;
    closeOverlays();
    if (isFlowing()) window.scrollTo(0, 0);
  }

  // The address of what is shown, at once.
  flush() {
    flushAddress(this.host);
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

// Milliseconds between two looks that are shown, and how many looks on the next one is.
function paceOf(count, speed) {
  if (speed === "every") return { pause: FASTEST, stride: 1 };
  const each = Math.min(400, (FILM_SECONDS * 1000) / count) / Number(speed);
  const stride = Math.max(1, Math.round(FASTEST / each));
  return { pause: Math.max(FASTEST, each * stride), stride };
}

function emptyText({ newest, failed }, runs) {
  if (runs.some((run) => !newest.has(run) && !failed.has(run))) return LOADING;
  if (runs.length && runs.every((run) => failed.has(run))) return "None of these runs could be loaded.";
  return runs.length ? "These runs have no frames yet. The first one is written before the first training step."
    : "No frames yet: add ProbeCallback() to the Trainer's callbacks. The first frame is written before the first training step.";
}
