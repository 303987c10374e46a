// What can stand on the chart: the numbers of the looks, of all images or of one, and the training's own scalars.

import { known } from "../page/looks.js";
import { errorOf, isWrong, measureOf, measureOfMaps, tagged } from "../page/words.js";

const LOGGED = "logged:";
const SAID = { loading: " (loading …)", failed: " (could not be had, asked again)", shown: "" };
const RIGHT = "answers/right";
const SURE = "answers/probability";
const LABEL = "answers/label";
const ERROR = "answers/error";
const MEASURES = ["answers/mean_error", "answers/mean_squared_error", "answers/mean_distance", "answers/mean_iou"];
const PREFERRED = ["reliance/background_effect", "attribution/evidence/lift", "attribution/grad_cam/lift", LABEL, ...MEASURES, RIGHT, SURE];

// Everything that these runs can show, and what was chosen of what is still on its way: { value, text, group }.
export function namesOf(model, logged, chosen = null) {
  const found = new Set(model.runs.flatMap((run) => known(run.looks, "numbers", () => [...new Set(run.looks.flatMap((look) => Object.keys(look.numbers)))])));
  const values = [...found].sort().map((value) => ({ value, text: readable(value, model), group: "looks" }));
  if (model.runs.some(knowsRight)) values.push({ value: RIGHT, text: "right answers on the probe", group: "looks" });
  if (!found.has(ERROR) && model.runs.some((run) => run.looks.some((look) => errorOf(look, 0) !== undefined))) {
    values.push({ value: ERROR, text: readable(ERROR, model), group: "looks" });
  }
  if (model.runs.some((run) => run.looks.some((look) => look.probability.some(Number.isFinite)))) {
    values.push({ value: SURE, text: "probability of the predicted class", group: "looks" });
  }
  const taken = new Set(values.map((each) => each.value));
  const others = [...new Set(model.runs.flatMap((run) => logged.tagsOf(run.name)))].filter((tag) => !taken.has(tag)).sort();
  const runs = model.runs.map((run) => run.name);
  return [...values, ...others.map((tag) => loggedName(tag, `${readable(tag, model)}${SAID[logged.stateOf(runs, tag)]}`)), ...awaited(logged.stateOf(runs), chosen, others)];
}

function loggedName(tag, text) {
  return { value: LOGGED + tag, text, group: "logged by the training" };
}

// What cannot be offered yet, and why: the name that a link asks for, or that there are names which could not be had.
function awaited(state, chosen, others) {
  const tag = chosen?.startsWith(LOGGED) ? chosen.slice(LOGGED.length) : null;
  if (state === "shown" || others.includes(tag)) return [];
  if (tag !== null) return [loggedName(tag, `${tagged(tag)}${SAID[state]}`)];
  return state === "failed" ? [{ ...loggedName("", `some names${SAID.failed}`), isOff: true }] : [];
}

function knowsRight(run) {
  return known(run.looks, "right", () => run.looks.some((look) => look.predicted.some((_, image) => isWrong(run.inputs, look, image) !== null)));
}

export function preferred(names) {
  const values = names.filter((each) => !each.isOff).map((each) => each.value);
  const found = [...PREFERRED, ...values.filter((each) => each.endsWith("/lift") || /^logged:val/.test(each))].find((each) => values.includes(each));
  return found || values.find((each) => each !== `${LOGGED}epoch`) || values[0] || "";
}

// Whether there is a line of each image beside that of all.
export function isOfImages(scalar, model) {
  return scalar === RIGHT || scalar === SURE || model.runs.some((run) => run.looks.some((look) => look.per_image[scalar]));
}

// What to show of one image: what is on the chart already, if it is known of single images.
export function ofImages(scalar, names, model) {
  const candidates = [scalar, `attribution/${model.view?.key}/lift`, LABEL, SURE, ERROR, RIGHT];
  const values = names.map((each) => each.value);
  return candidates.find((each) => values.includes(each) && isOfImages(each, model)) || scalar;
}

// Points of one run as [place on the axis, value]; the axis counts looks, what lies between two looks is put between.
function pointsOf(run, scalar, model, logged, image = null) {
  if (scalar.startsWith(LOGGED)) {
    const axis = [...run.looks, ...run.sheets].sort((one, other) => one.steps - other.steps).map((look) => [look.step, model.places.get(look.steps)]);
    return loggedOf(run, scalar, logged).filter(([, value]) => Number.isFinite(value))
      .map(([step, value]) => [placeOf(axis, step), value]);
  }
  const value = image === null ? (look) => ofAll(look, scalar, run.inputs) : (look) => ofOne(look, scalar, run.inputs, image);
  return run.looks.map((look) => [model.places.get(look.steps), value(look)]).filter(([, each]) => Number.isFinite(each));
}

// What the training has logged of a run under the name of a scalar, as it came; null where that is a number of looks.
export function loggedOf(run, scalar, logged) {
  return scalar.startsWith(LOGGED) ? logged.pointsOf(run.name, scalar.slice(LOGGED.length)) : null;
}

// Lines of the runs, { run, points, behind }: where they are of one image, or smoothed, what they come from stands faint behind them.
export function seriesOf(model, scalar, logged, smooth) {
  const isOne = model.image !== null && isOfImages(scalar, model);
  return model.runs.map((run) => {
    const all = pointsOf(run, scalar, model, logged);
    const points = isOne ? pointsOf(run, scalar, model, logged, model.image) : all;
    return { run, points: smoothed(points, smooth), behind: isOne ? smoothed(all, smooth) : smooth ? points : [] };
  });
}

// The newest value at a place or before; null before the first one.
export function valueAt(points, index) {
  let value = null;
  for (const [at, each] of points) if (at <= index + 1e-9) value = each;
  return value;
}

function ofAll(look, scalar, inputs) {
  if ([RIGHT, SURE, ERROR].includes(scalar)) return meanOf(look.predicted.map((_, image) => ofOne(look, scalar, inputs, image)));
  return look.numbers[scalar] ?? NaN;
}

function ofOne(look, scalar, inputs, image) {
  if (scalar === SURE) return look.probability[image];
  if (scalar !== RIGHT) return look.per_image[scalar]?.[image];
  const wrong = isWrong(inputs, look, image);
  return wrong === null ? NaN : Number(!wrong);
}

function meanOf(values) {
  const finite = values.filter(Number.isFinite);
  return finite.length ? finite.reduce((sum, each) => sum + each, 0) / finite.length : NaN;
}

// The steps at which a run's looks were logged, each with its place: between them time runs evenly.
function placeOf(axis, step) {
  const after = axis.findIndex(([at]) => at >= step);
  if (after === 0 || axis.length < 2) return axis[0]?.[1] ?? 0;
  if (after < 0) return axis[axis.length - 1][1];
  const [[low, from], [high, to]] = [axis[after - 1], axis[after]];
  return from + ((step - low) / (high - low)) * (to - from);
}

function readable(tag, model) {
  if (MEASURES.includes(tag)) return measured(tag, model);
  return measureOfMaps(tag, model.views) || tagged(tag);
}

// What was measured, in the units of the runs.
function measured(tag, model) {
  const looks = model.runs.flatMap((run) => run.looks.filter((look) => look.numbers[tag] !== undefined));
  const names = [...new Set(looks.map((look) => measureOf(tag, look.unit)))];
  return names.length === 1 ? names[0] : measureOf(tag);
}

// Points with what was before weighing in, as TensorBoard smooths: the weight of the past from 0 to below 1.
export function smoothed(points, weight) {
  if (!weight) return points;
  let [sum, norm] = [0, 0];
  return points.map(([at, value]) => {
    sum = sum * weight + value * (1 - weight);
    norm = norm * weight + (1 - weight);
    return [at, sum / norm];
  });
}
