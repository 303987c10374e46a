// A legend: the colours of a scale as a bar with its ticks, and in words for those who do not see them.

import { legendWords } from "../access/legend.js";
import { element, fitCanvas, put, replace } from "../page/dom.js";
import { ticksOf } from "./colours.js";

const [WIDTH, HEIGHT] = [264, 10];

export class Legend {
  constructor() {
    this.bar = element("canvas", { "aria-hidden": "true" });
    this.ticks = element("div", { className: "ticks" });
    this.root = element("div", { className: "legend", role: "img" }, this.bar, this.ticks);
  }

  update(scale, settings, painter) {
    const isLog = scale.kind === "log" && settings.mode === "evidence";
    this.paint(scale, settings, painter);
    const ticks = ticksOf(scale, settings, painter.constants);
    put(this.root, "aria-label", legendWords(ticks, { scale, isLog, settings }));
    replace(this.ticks, JSON.stringify(ticks), () => ticks.map(tickOf));
  }

  paint(scale, settings, painter) {
    const isFitted = fitCanvas(this.bar, WIDTH, HEIGHT);
    const { mode, gain, opacity, photo, palette } = settings;
    const shows = JSON.stringify([scale, mode, gain, opacity, photo, palette]);
    if (isFitted || this.bar.dataset.shows !== shows) painter.paintLegend(this.bar, scale, settings);
    this.bar.dataset.shows = shows;
  }
}

function tickOf({ value, at }) {
  const tick = element("span", { textContent: `${value < 0 ? "−" : ""}${round(Math.abs(value))}` });
  tick.style.left = `${at * 100}%`;
  return tick;
}

export function round(value) {
  return value >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}
