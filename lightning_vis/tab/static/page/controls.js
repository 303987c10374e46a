// The bar at the top: what is compared, through which view, in which colours, and how to read them.

import { limitOf } from "../picture/colours.js";
import { Legend, round } from "../picture/legend.js";
import { choice, element, labelled, replace, say } from "./dom.js";
import { lookAt } from "./looks.js";
import { classesOf } from "../runs/groups.js";
import { isKnown, ORDERS } from "../runs/orders.js";
import { RunList } from "../runs/run_list.js";
import { answersOf, quantityOf, readingOf } from "./words.js";

const TABS = [
  { value: "compare", text: "Compare", title: "All images at one moment (1)" },
  { value: "film", text: "Film", title: "Each image over time (2)" },
  { value: "filters", text: "Filters", title: "What excites a filter most (3)" },
  { value: "twins", text: "Twins", title: "One object on several backgrounds (4)" },
];
const PHOTOS = [
  { value: "grey", text: "grey", title: "The map over the photo in grey" },
  { value: "colour", text: "colour", title: "The map over the photo in colour" },
  { value: "spotlight", text: "spotlight", title: "The photo itself, lit where the map is strong; for signed maps only what speaks for" },
];
const JUDGED = [{ value: "wrong", text: "wrong (newest look)" }, { value: "right", text: "right (newest look)" }];
const SOME = 5; // images from which on they are ordered and chosen
const LONG = 220; // letters: more have a line of their own, as where runs have different tasks

export class Controls {
  constructor(page) {
    this.page = page;
    this.tabs = element("div");
    this.runs = new RunList(page);
    this.probe = element("select", { "aria-label": "probe", onchange: () => page.change({ probe: this.probe.value, page: 0, image: null }) });
    this.views = element("div");
    this.looks = element("div", { className: "bar second" });
    this.legend = new Legend();
    this.caption = element("p", { className: "caption" });
    this.makeLooks();
    this.makeImages();
    this.copy = element("button", {
      type: "button", className: "copy", textContent: "copy link", title: "a link to just what is shown, with its moment", "aria-live": "polite", onclick: () => page.copyLink(this.copy),
    });
    // In a small window what is seldom changed is a press away; the legend stays.
    this.unfold = element("button", {
      type: "button", className: "unfold", textContent: "⋯", title: "which images, and their colours", "aria-label": "which images, and their colours", "aria-expanded": "false",
      onclick: () => this.unfold.setAttribute("aria-expanded", String(this.root.classList.toggle("open"))),
    });
    this.name = element("h1", { className: "unseen" });
    this.root = element("header", {}, this.name, element("div", { className: "bar" }, this.tabs, this.runs.root, this.probe, this.views, this.images, element("div", { className: "own" }, this.copy, this.unfold, page.help.button)), this.looks);
  }

  // Which images, and in which order.
  makeImages() {
    const { page } = this;
    this.order = element("select", { "aria-label": "order of images", onchange: () => page.change({ order: this.order.value, page: 0 }) });
    this.only = element("select", { "aria-label": "which images", onchange: () => page.change({ only: this.only.value || null, page: 0 }) });
    this.glance = element("button", {
      type: "button", textContent: "all at a glance", title: "all images at once, as large as the window allows", onclick: () => page.change({ glance: !page.state.glance, page: 0 }),
    });
    this.images = element("div", { className: "images" }, this.only, this.order, this.glance);
  }

  updateImages(model) {
    const { state } = this.page;
    const classes = classesOf(model);
    const isAsked = state.only !== null || state.order !== "given" || state.glance;
    this.images.hidden = this.views.hidden || (model.count < SOME && !isAsked);
    if (this.images.hidden) return;
    const orders = ORDERS.filter(({ value }) => isKnown(value, model));
    const isJudged = orders.some(({ value }) => value === "wrong");
    replace(this.only, JSON.stringify([classes, isJudged]), () => [
      element("option", { value: "", textContent: "all images" }), ...(isJudged ? [groupOf("at the newest look", JUDGED)] : []),
      ...(classes.length ? [groupOf("class", classes.map((name) => ({ value: `class:${name}`, text: name })))] : []),
    ]);
    this.only.value = !isJudged && isJudgement(state.only) ? "" : state.only || "";
    const [newest, others] = [orders.filter(({ isNewest }) => isNewest), orders.filter(({ isNewest }) => !isNewest)];
    replace(this.order, JSON.stringify(orders), () => [...others.map(optionOf), ...(newest.length ? [groupOf("by the newest look", newest)] : [])]);
    this.order.value = orders.some(({ value }) => value === state.order) ? state.order : "given";
    this.order.title = newest.some(({ value }) => value === state.order) ? "By the newest look of the runs shown, whatever moment is shown" : "";
    this.only.title = isJudged && isJudgement(state.only) ? "At the newest look of the runs shown, whatever moment is shown" : "";
    if (this.page.tab !== "compare") this.glance.hidden = true; // there it is offered where it changes something
    this.glance.setAttribute("aria-pressed", String(state.glance));
  }

  makeLooks() {
    const change = (changes) => this.page.change(changes);
    this.opacity = element("input", { type: "range", min: 0, max: 1, step: 0.05, oninput: () => change({ opacity: Number(this.opacity.value) }) });
    this.gain = element("input", { type: "range", min: -3, max: 3, step: 1, oninput: () => change({ gain: Number(this.gain.value) }) });
    this.gain.title = "The value at which colours are full. It is the same for all images, moments and runs.";
    this.range = element("output");
    this.outline = element("input", { type: "checkbox", onchange: () => change({ outline: this.outline.checked }) });
    this.photo = element("div");
    this.mode = element("div");
    this.palette = element("div");
    this.outlined = labelled("outline", this.outline);
    this.looks.append(
      this.photo, this.mode, this.palette, labelled("opacity", this.opacity), labelled("gain", this.gain, this.range), this.outlined,
      this.legend.root, this.caption,
    );
  }

  update(model) {
    const { state } = this.page;
    const { tab: shown } = this.page;
    say(this.name, `Lightning Vis: ${TABS.find(({ value }) => value === shown).text}`);
    replace(this.tabs, shown, () => choice("page", TABS, shown, (tab) => this.page.change({ tab })));
    this.runs.update();
    this.probe.hidden = model.probes.length < 2;
    replace(this.probe, model.probes.join("\n"), () => model.probes.map((probe) => element("option", { value: probe, textContent: probe })));
    this.probe.value = model.probe || "";
    const isMap = shown === "compare" || shown === "film";
    this.views.hidden = !isMap || !model.view;
    this.looks.hidden = this.views.hidden || Boolean(model.view.isPicture);
    if (!this.views.hidden) this.updateViews(model);
    if (!this.looks.hidden) this.updateLooks(model, state);
    this.updateImages(model);
  }

  updateViews({ view, views }) {
    const options = views.map((each) => ({ value: each.key, text: nameIn(views, each), title: each.layer && `layer ${each.layer}` }));
    replace(this.views, JSON.stringify([options, view.key]), () => choice("view", options, view.key, (key) => this.page.change({ view: key })));
  }

  updateLooks(model, state) {
    const { page } = this;
    const { view } = model;
    const isLog = view.scale.kind === "log";
    replace(this.photo, `${state.photo}`, () => choice("photo", PHOTOS, state.photo, (photo) => page.change({ photo })));
    const modes = [
      { value: "evidence", text: isLog ? quantityOf(view) : "density", title: "One scale for the whole run and for all runs" },
      { value: "shape", text: "shape only", title: "Each map in multiples of its own mean: how much there is of it does not show" },
    ];
    this.mode.hidden = !isLog;
    replace(this.mode, `${state.mode}${isLog}`, () => choice("scale", modes, state.mode, (mode) => page.change({ mode })));
    const palettes = ["inferno", "cividis"].map((value) => ({ value, text: value, title: "Colours of maps without a sign" }));
    this.palette.hidden = view.scale.signed || state.photo === "spotlight";
    replace(this.palette, `${state.palette}`, () => choice("colours", palettes, state.palette, (palette) => page.change({ palette })));
    this.opacity.value = state.opacity;
    this.gain.value = state.gain;
    this.outlined.hidden = !model.runs.some((run) => run.masks);
    this.outline.checked = state.outline;
    this.updateLegend(model, state, isLog && state.mode === "evidence");
  }

  updateLegend(model, state, isLog) {
    const { constants } = this.page.painter;
    const { scale } = model.view;
    const limit = limitOf(scale, state, constants);
    say(this.range, `to ${round(limit)}${isLog ? "" : " × mean"}`);
    this.legend.update(scale, state, this.page.painter);
    say(this.caption, legendCaption(model, state));
    this.caption.classList.toggle("long", this.caption.textContent.length > LONG);
  }
}

function isJudgement(only) {
  return JUDGED.some(({ value }) => value === only);
}

function groupOf(label, options) {
  return element("optgroup", { label }, ...options.map(optionOf));
}

function optionOf({ value, text }) {
  return element("option", { value, textContent: text });
}

function legendCaption(model, state) {
  const { view } = model;
  const shares = model.runs.map((run) => lookAt(run.looks, model.steps)?.numbers[`attribution/${view.key}/explained`]).filter(Number.isFinite);
  const note = [...new Set(model.runs.map((run) => run.inputs?.note).filter(Boolean))].join(", ");
  return [
    readingOf(model, state),
    shares.length && state.mode !== "shape" ? `Explains ${spanOf(shares.map((each) => Math.round(100 * each)))} % of the score.` : "",
    answersOf(model),
    note ? `Photos: ${note}.` : "",
  ].filter(Boolean).join(" ");
}

function spanOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? String(low) : `${low} to ${high}`;
}

export function titleOf(view) {
  const key = view.head ? view.key.slice(0, -view.head.length - 1) : view.key; // the title names the head
  const extra = /[.+]/.test(key) ? ` ${key.slice(key.search(/[.+]/))}` : "";
  return view.title.includes(extra.trim()) ? view.title : `${view.title}${extra}`;
}

// Views of one title are told apart by their layers, else by their keys.
function nameIn(views, view) {
  const same = views.filter((each) => titleOf(each) === titleOf(view));
  if (same.length < 2) return titleOf(view);
  const areApart = new Set(same.map((each) => each.layer)).size === same.length;
  return `${titleOf(view)} (${areApart ? view.layer : view.key})`;
}
