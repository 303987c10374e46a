// The timeline: one chart that is also the scrubber of all pages. Any scalar of the runs can be drawn on it.

import { replace } from "./controls.js";
import { whenAt } from "./looks.js";
import { cssColour, element, fitCanvas, shortened } from "./parts.js";

const HEIGHT = 116;
const MARGIN = { left: 64, right: 150, top: 12, bottom: 20 };
const PREFERRED = ["reliance/background_effect", "attribution/evidence/lift", "attribution/grad_cam/lift", "answers/right", "answers/probability"];

export class Timeline {
  constructor(page) {
    this.page = page;
    this.logged = new Map(); // run -> scalar -> points, or a promise of them
    this.tags = new Map(); // run -> names of its own scalars
    this.button = element("button", { type: "button", className: "play", onclick: () => (page.isPlaying ? page.stop() : page.play()) });
    this.when = element("strong", { className: "when" });
    this.count = element("span", { className: "quiet" });
    this.alerts = element("span", { className: "alerts" });
    this.scalar = element("select", { "aria-label": "what the chart shows", onchange: () => page.change({ scalar: this.scalar.value }) });
    this.canvas = element("canvas", {
      className: "chart", role: "slider", tabIndex: 0, "aria-label": "moment of the training", "aria-valuemin": 0,
      onpointerdown: (event) => this.onDown(event), onpointermove: (event) => this.onMove(event),
    });
    this.live = element("div", { className: "unseen", "aria-live": "polite" });
    this.root = element(
      "footer", {}, element("div", { className: "bar" }, this.button, this.when, this.count, this.alerts, this.scalar), this.canvas, this.live,
    );
  }

  // What a run has logged is read again when it has gone on.
  forget(run) {
    this.logged.delete(run);
    this.tags.delete(run);
  }

  update(model) {
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
    this.askTags(model);
    const names = this.namesOf(model);
    const scalar = names.some((each) => each.value === this.page.state.scalar) ? this.page.state.scalar : preferred(names);
    replace(this.scalar, JSON.stringify(names), () => grouped(names));
    this.scalar.value = scalar;
    this.updateAlerts(model);
    this.draw(model, scalar);
  }

  namesOf(model) {
    const found = new Set(model.runs.flatMap((run) => run.looks.flatMap((look) => Object.keys(look.numbers))));
    const values = [...found].sort().map((value) => ({ value, text: readable(value, model), group: "looks" }));
    if (model.runs.some((run) => run.inputs?.labels)) values.push({ value: "answers/right", text: "right answers on the probe", group: "looks" });
    if (model.runs.some((run) => run.looks.some((look) => look.probability.some(Number.isFinite)))) {
      values.push({ value: "answers/probability", text: "probability of the predicted class", group: "looks" });
    }
    const logged = new Set(model.runs.flatMap((run) => this.tags.get(run.name) || []));
    const known = new Set(values.map((each) => each.value));
    const others = [...logged].filter((tag) => !known.has(tag)).sort();
    return [...values, ...others.map((tag) => ({ value: `logged:${tag}`, text: tag, group: "logged by the training" }))];
  }

  askTags(model) {
    for (const { name } of model.runs) {
      if (this.tags.has(name)) continue;
      this.tags.set(name, []);
      this.page.source.scalars(name).then((tags) => {
        this.tags.set(name, tags);
        this.page.draw();
      }).catch(() => {});
    }
  }

  // Points of one run as [place on the axis, value]; the axis counts looks, what lies between two looks is put between.
  pointsOf(run, scalar, model) {
    if (scalar.startsWith("logged:")) return this.loggedPoints(run, scalar.slice("logged:".length), model);
    const points = run.looks.map((look) => [model.positions.indexOf(look.steps), valueOf(look, scalar, run.inputs)]);
    return points.filter(([, value]) => Number.isFinite(value));
  }

  loggedPoints(run, tag, model) {
    if (!this.logged.has(run.name)) this.logged.set(run.name, new Map());
    const known = this.logged.get(run.name);
    if (!known.has(tag)) {
      known.set(tag, []);
      if ((this.tags.get(run.name) || []).includes(tag)) {
        this.page.source.scalar(run.name, tag).then((points) => {
          known.set(tag, points);
          this.page.draw();
        }).catch(() => {});
      }
    }
    const axis = axisOf(run, model);
    return known.get(tag).filter(([, value]) => Number.isFinite(value)).map(([step, value]) => [placeOf(axis, step), value]);
  }

  updateAlerts(model) {
    const lit = model.runs.map((run) => ({ run, look: run.looks.find((look) => look.numbers["reliance/alert"] >= 0.5) })).filter(({ look }) => look);
    replace(this.alerts, JSON.stringify(lit.map(({ run, look }) => [run.name, look.steps])), () => lit.map(({ run, look }) => element("button", {
      type: "button", className: "flag", textContent: `⚑ ${run.name}: background, from ${look.when}`, title: "the first look at which the alert stood: go there",
      onclick: () => this.page.go(this.page.model.positions.indexOf(look.steps)),
    })));
  }

  draw(model, scalar) {
    const width = this.root.clientWidth - 28;
    if (width < 50) return;
    fitCanvas(this.canvas, width, HEIGHT);
    const ratio = window.devicePixelRatio || 1;
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, HEIGHT);
    context.font = "12px system-ui, sans-serif";
    const series = model.runs.map((run) => ({ run, points: this.pointsOf(run, scalar, model) }));
    const scale = scaleOf(scalar, series.flatMap((each) => each.points.map((point) => point[1])));
    const last = Math.max(1, model.positions.length - 1);
    this.place = {
      x: (at) => MARGIN.left + (at / last) * (width - MARGIN.left - MARGIN.right),
      y: (value) => HEIGHT - MARGIN.bottom - scale.share(value) * (HEIGHT - MARGIN.top - MARGIN.bottom),
      right: width - MARGIN.right,
    };
    this.drawAxes(context, model, scale);
    for (const { run, points } of series) this.drawLine(context, run, points, model);
    this.drawMarks(context, model);
    this.drawCursor(context, model);
    this.drawLabels(context, series, model, scale, width);
  }

  drawAxes(context, model, scale) {
    const { x, y, right } = this.place;
    context.lineWidth = 1;
    context.textAlign = "right";
    for (const { value, text, isChance } of scale.ticks) {
      context.strokeStyle = cssColour(isChance ? "--quiet" : "--line");
      context.setLineDash(isChance ? [4, 3] : []);
      context.beginPath();
      context.moveTo(MARGIN.left, Math.round(y(value)) + 0.5);
      context.lineTo(right, Math.round(y(value)) + 0.5);
      context.stroke();
      context.fillStyle = cssColour("--quiet");
      context.fillText(text, MARGIN.left - 8, y(value) + 4);
    }
    context.setLineDash([]);
    this.drawTimes(context, model, x, right);
  }

  drawTimes(context, model, x, right) {
    context.fillStyle = cssColour("--quiet");
    context.strokeStyle = cssColour("--line");
    let free = -Infinity;
    const last = model.positions.length - 1;
    const end = context.measureText(whenAt(model, last)).width;
    model.positions.forEach((_, at) => {
      const text = whenAt(model, at);
      const wide = context.measureText(text).width;
      const left = Math.min(x(at) - (at === 0 ? 0 : wide / 2), right - wide);
      if (at !== last && (left < free || left + wide > right - end - 12)) return;
      context.textAlign = "left";
      context.fillText(text, left, HEIGHT - 5);
      free = left + wide + 16;
    });
  }

  drawLine(context, run, points, model) {
    const { x, y } = this.place;
    context.strokeStyle = cssColour(run.colour);
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.beginPath();
    points.forEach(([at, value], index) => (index ? context.lineTo(x(at), y(value)) : context.moveTo(x(at), y(value))));
    context.stroke();
    const now = valueAt(points, model.index);
    if (now === null) return;
    context.fillStyle = cssColour(run.colour);
    context.beginPath();
    context.arc(x(model.index), y(now), 4, 0, 2 * Math.PI);
    context.fill();
  }

  drawMarks(context, model) {
    for (const run of model.runs) {
      const look = run.looks.find((each) => each.numbers["reliance/alert"] >= 0.5);
      if (!look) continue;
      const x = this.place.x(model.positions.indexOf(look.steps));
      context.fillStyle = cssColour(run.colour);
      context.beginPath();
      context.moveTo(x - 6, 0);
      context.lineTo(x + 6, 0);
      context.lineTo(x, 10);
      context.fill();
    }
  }

  drawCursor(context, model) {
    const x = Math.round(this.place.x(model.index)) + 0.5;
    context.strokeStyle = cssColour("--accent");
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, HEIGHT - MARGIN.bottom);
    context.stroke();
  }

  drawLabels(context, series, model, scale, width) {
    context.textAlign = "left";
    const labels = series.map(({ run, points }) => ({ run, value: valueAt(points, model.index) })).filter(({ value }) => value !== null)
      .map((each) => ({ ...each, at: this.place.y(each.value) + 4 })).sort((one, other) => one.at - other.at);
    labels.forEach((label, index) => {
      if (index) label.at = Math.max(label.at, labels[index - 1].at + 14);
    });
    const over = Math.max(0, (labels[labels.length - 1]?.at || 0) - (HEIGHT - 4));
    for (const { run, value, at } of labels) {
      context.fillStyle = cssColour(run.colour);
      context.fillText(shortened(context, `${scale.say(value)} ${run.name}`, width - this.place.right - 12), this.place.right + 8, at - over);
    }
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
    const share = (event.offsetX - MARGIN.left) / (this.place.right - MARGIN.left);
    this.page.go(Math.round(share * (this.page.model.positions.length - 1)));
  }
}

function valueOf(look, scalar, inputs) {
  if (scalar === "answers/right") {
    const answered = look.predicted.filter((predicted) => predicted >= 0);
    return answered.length && inputs?.labels ? look.predicted.filter((predicted, image) => predicted === inputs.labels[image]).length / look.predicted.length : NaN;
  }
  if (scalar === "answers/probability") {
    const known = look.probability.filter(Number.isFinite);
    return known.length ? known.reduce((sum, each) => sum + each, 0) / known.length : NaN;
  }
  return look.numbers[scalar] ?? NaN;
}

// The steps at which a run's looks were logged, each with its place: between them time runs evenly.
function axisOf(run, model) {
  return run.looks.map((look) => [look.step, model.positions.indexOf(look.steps)]);
}

function placeOf(axis, step) {
  const after = axis.findIndex(([at]) => at >= step);
  if (after === 0 || axis.length < 2) return axis[0]?.[1] ?? 0;
  if (after < 0) return axis[axis.length - 1][1];
  const [[low, from], [high, to]] = [axis[after - 1], axis[after]];
  return from + ((step - low) / (high - low)) * (to - from);
}

function valueAt(points, index) {
  let value = null;
  for (const [at, each] of points) if (at <= index + 1e-9) value = each;
  return value;
}

function scaleOf(scalar, values) {
  if (/(^|[/_])lift$/.test(scalar)) return liftScale();
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (/effect$/.test(scalar)) return linearScale(Math.min(0, low), Math.max(0.5, high), true);
  if (values.length && low >= 0 && high <= 1) return linearScale(0, 1, true);
  return linearScale(values.length ? low : 0, values.length ? high : 1, false);
}

function liftScale() {
  const texts = { 0.25: "¼ ×", 0.5: "½ ×", 1: "chance", 2: "2 ×", 4: "4 ×" };
  return {
    share: (value) => Math.min(1, Math.max(0, (Math.log2(Math.max(value, 1e-9)) + 2) / 4)),
    ticks: Object.entries(texts).map(([value, text]) => ({ value: Number(value), text, isChance: value === "1" })),
    say: (value) => `${value.toFixed(2)} ×`,
  };
}

function linearScale(low, high, isShare) {
  const step = niceStep((high - low || 1) / 2);
  const [from, to] = [Math.floor(low / step + 1e-9) * step, Math.max(Math.ceil(high / step - 1e-9) * step, Math.floor(low / step) * step + step)];
  const say = (value) => (isShare ? `${Math.round(100 * value)} %` : String(Number(value.toPrecision(3))));
  const count = Math.round((to - from) / step);
  const ticks = [...Array(count + 1).keys()].map((at) => ({ value: from + at * step, text: say(from + at * step), isChance: false }));
  return { share: (value) => (value - from) / (to - from), ticks, say };
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}

function readable(tag, model) {
  const [group, key, what] = tag.split("/");
  if (group !== "attribution" || !what) {
    return { "reliance/background_effect": "effect of the background on the answer", "reliance/object_effect": "effect of the object on the answer", "reliance/alert": "alert" }[tag] || tag;
  }
  const title = model.views.find((view) => view.key === key)?.title || key;
  return { lift: `on the object: ${title}, × chance`, empty: `empty maps: ${title}`, explained: `explained by ${title}` }[what] || `${what}: ${title}`;
}

function preferred(names) {
  const values = names.map((each) => each.value);
  return PREFERRED.find((each) => values.includes(each)) || values.find((each) => each.endsWith("/lift")) || values[0] || "";
}

function grouped(names) {
  return [...new Set(names.map((each) => each.group))].map((label) => element(
    "optgroup", { label }, ...names.filter((each) => each.group === label).map(({ value, text }) => element("option", { value, textContent: text })),
  ));
}
