// The looks of all runs: what is known of them, and what is shown. Pure functions of plain values.

import { Latest } from "../picture/cache.js";

const PREDICTED = "predicted";

// A stream is what one callback saw of one probe: { probe, kind, inputs, masks, twins, places, looks }. An answer says where all
// looks stand, but brings only those with something new; the others are known already.
export function mergedStreams(known, fresh) {
  return fresh.map((stream) => {
    const before = known.find((each) => each.probe === stream.probe && each.kind === stream.kind);
    const looks = new Map([...(before ? before.looks : []), ...stream.looks].map((look) => [look.steps, look]));
    return { ...stream, looks: stream.places.map((place) => looks.get(place)).filter(Boolean) };
  });
}

// The newest look that was taken at these finished steps or before; null before the first one.
export function lookAt(looks, steps) {
  let low = 0;
  let high = looks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (looks[middle].steps <= steps) low = middle + 1;
    else high = middle;
  }
  return low ? looks[low - 1] : null;
}

// At most `limit` of the positions 0..count-1, evenly spaced, first and last always among them.
export function thinned(count, limit) {
  if (count <= limit) return [...Array(count).keys()];
  if (limit < 2) return [count - 1];
  return [...Array(limit).keys()].map((at) => Math.round((at * (count - 1)) / (limit - 1)));
}

export function className(inputs, index) {
  if (index === undefined || index === null || index < 0) return "";
  return inputs?.class_names?.[index] ?? `class ${index}`;
}

export function labelOf(inputs, image) {
  const label = inputs?.labels?.[image];
  return label === undefined ? null : label;
}

const answers = new WeakMap(); // looks -> question -> answer

// What is asked of all looks of a run at every step is answered once, as long as there are no others.
export function known(looks, question, answer) {
  if (!answers.has(looks)) answers.set(looks, new Map());
  const kept = answers.get(looks);
  if (!kept.has(question)) kept.set(question, answer());
  return kept.get(question);
}

// All that the page shows, derived from what is chosen and what has been loaded.
export function modelOf(state, loaded, marks) {
  const { runs: wholes, probes, probe, positions, places, exact, views, isDisagreed } = basisOf(state, loaded, marks);
  const view = views.find((each) => each.key === state.view) || views[0] || null;
  const runs = wholes.map((run) => ofHead(run, view?.head));
  const index = indexOf(state, positions, runs);
  const count = Math.max(0, ...runs.map((run) => run.count));
  const image = Number.isInteger(state.image) && state.image < count ? state.image : null;
  const other = state.other === null ? 0 : indexOf({ steps: state.other, epoch: null }, positions, runs);
  return {
    runs, wholes, probes, probe, positions, places, exact, views, view, index, steps: positions[index], count, image,
    isByStep: state.axis === "step" || isDisagreed, isDisagreed, other, otherSteps: positions[other], ...rangeOf(state, positions),
  };
}

const basis = new Latest();

// What follows from the looks alone: the same as long as they, the runs and their marks are.
function basisOf(state, loaded, marks) {
  const names = (state.runs || [...loaded.keys()]).filter((name) => loaded.has(name));
  const parts = [state.probe, ...names.flatMap((name) => [name, loaded.get(name), marks.get(name)?.colour, marks.get(name)?.number])];
  return basis.of(parts, () => derived(state, names, loaded, marks));
}

function derived(state, names, loaded, marks) {
  const probes = [...new Set(names.flatMap((name) => probesOf(loaded.get(name))))].sort();
  const probe = probes.includes(state.probe) ? state.probe : probes[0];
  const runs = names.map((name) => runOf(name, loaded.get(name), probe, marks.get(name)));
  const looks = [...runs.flatMap((run) => run.looks), ...runs.flatMap((run) => run.sheets)];
  const exact = new Map([...looks].reverse().map((look) => [look.steps, look])); // of several, that of the first run that has maps
  const positions = [...exact.keys()].sort((one, other) => one - other);
  const places = new Map(positions.map((steps, at) => [steps, at]));
  return { runs, probes, probe, positions, places, exact, views: viewsOf(runs), isDisagreed: disagree(runs) };
}

// The part of the film that is zoomed into, as places from `low` to `high`.
function rangeOf({ from, to }, positions) {
  const last = positions.length - 1;
  const low = from === null ? 0 : Math.max(0, positions.findIndex((steps) => steps >= from));
  const beyond = to === null ? -1 : positions.findIndex((steps) => steps > to);
  const high = beyond < 0 ? last : beyond - 1;
  return high - low < 1 ? { low: 0, high: last } : { low, high };
}

const seenBy = new WeakMap(); // look -> head -> the look as that head has it: one object, so that equal looks stay equal

// A run as another head of its network has it than the first: its answers, its numbers, and what is true of the images for it.
function ofHead(run, head) {
  const last = head ? run.looks.filter((look) => look.heads?.[head]).pop() : null;
  if (!last) return run;
  const { truth } = last.heads[head];
  const inputs = run.inputs && { ...run.inputs, labels: null, class_names: [], truth };
  return { ...run, inputs, looks: known(run.looks, `head ${head}`, () => run.looks.map((look) => lookOfHead(look, head))) };
}

function lookOfHead(look, head) {
  if (!seenBy.has(look)) seenBy.set(look, new Map());
  const kept = seenBy.get(look);
  if (!kept.has(head)) {
    const nobody = look.predicted.map(() => -1);
    const unknown = { task: "unknown", unit: "", answer: "", said: look.predicted.map(() => ""), wrong: look.predicted.map(() => null) };
    const numbers = numbersOfHead(look.numbers, head);
    const per_image = numbersOfHead(look.per_image, head);
    kept.set(head, { ...look, ...unknown, ...look.heads?.[head], head, top: [], predicted: nobody, probability: nobody.map(() => null), numbers, per_image });
  }
  return kept.get(head);
}

// What has a head's name behind its tag, without it; what is measured of maps has it within.
function numbersOfHead(numbers, head) {
  const own = Object.entries(numbers).filter(([tag]) => tag.endsWith(`@${head}`)).map(([tag, value]) => [tag.slice(0, -head.length - 1), value]);
  return Object.fromEntries([...Object.entries(numbers).filter(([tag]) => tag.startsWith("attribution/")), ...own]);
}

function probesOf(streams) {
  return streams.filter((stream) => stream.kind === "frames").map((stream) => stream.probe);
}

function runOf(name, streams, probe, mark) {
  const stream = streams.find((each) => each.probe === probe && each.kind === "frames") || { inputs: null, masks: null, twins: null, looks: [] };
  const everything = streams.flatMap((each) => each.looks);
  const sheets = everything.filter((look) => Object.keys(look.pictures).some(isOfFilters)).sort((one, other) => one.steps - other.steps);
  const latest = stream.looks[stream.looks.length - 1];
  const count = stream.inputs?.count ?? latest?.predicted.length ?? 0;
  const onlyFilters = streams.every((each) => each.kind === "sheets");
  return { name, ...mark, inputs: stream.inputs, masks: stream.masks, twins: stream.twins, looks: stream.looks, sheets, count, onlyFilters };
}

function isOfFilters(name) {
  return name.startsWith("filters/");
}

function viewsOf(runs) {
  const views = new Map();
  for (const part of runs.flatMap((run) => run.looks.flatMap((look) => Object.entries(look.maps).map(([key, each]) => ({ ...each, view: key }))))) {
    const { view, title, scale, target, layer, head, broken } = part;
    if (!views.has(view) || (views.get(view).broken && !broken)) views.set(view, { key: view, title, scale, target, layer, head, broken });
  }
  const rank = (view) => (view.scale.kind === "log" ? 0 : 2) + (view.scale.signed ? 0 : 1);
  const maps = [...views.values()].sort((one, other) => rank(one) - rank(other) || (one.key < other.key ? -1 : 1));
  return [...maps, ...pictureViewsOf(runs)];
}

// Finished pictures of each image, a predicted mask over it for instance, are looked through as maps are.
function pictureViewsOf(runs) {
  const names = new Set(runs.flatMap((run) => run.looks.flatMap((look) => Object.keys(look.pictures))));
  const kept = [...names].filter((name) => name === PREDICTED);
  return kept.map((name) => ({ key: `pictures/${name}`, name, title: name, isPicture: true, scale: {}, target: "", layer: "" }));
}

// What is stored of a look that a view shows.
export function partOf(look, view) {
  return view?.isPicture ? look?.pictures[view.name] : look?.maps[view?.key];
}

function indexOf(state, positions, runs) {
  const last = Math.max(0, positions.length - 1);
  let wanted = state.steps;
  if (wanted === null && state.epoch !== null) {
    const looks = runs.flatMap((run) => run.looks).filter((look) => look.epoch === state.epoch && !look.alone);
    wanted = looks.length ? Math.max(...looks.map((look) => look.steps)) : null;
  }
  if (wanted === null) return last;
  const after = positions.findIndex((steps) => steps > wanted);
  return after < 0 ? last : Math.max(0, after - 1);
}

// When a position was, in a reader's words: those of the runs, as long as an epoch has the same steps in all of them.
export function whenAt(model, index) {
  const steps = model.positions[index];
  const look = model.exact.get(steps);
  if (!look) return "";
  return model.isByStep && isEpoch(look) ? `step ${steps}` : look.when;
}

// Whether the runs count steps in epochs of different lengths: no epoch could be the name of a moment of all of them.
function disagree(runs) {
  const ends = runs.flatMap((run) => [...run.looks, ...run.sheets].filter(isEpoch).map(({ steps, epoch }) => ({ run, steps, epoch })));
  ends.sort((one, other) => one.steps - other.steps);
  return ends.slice(1).some((end, at) => {
    const before = ends[at];
    return end.run !== before.run && ((end.steps === before.steps) !== (end.epoch === before.epoch) || end.epoch < before.epoch);
  });
}

function isEpoch({ moment, steps }) {
  return steps > 0 && (moment === "epoch" || moment === "end");
}

// What twins and the exchange of surroundings had said last of a run at a moment, and when that was.
function verdictOf(run, steps) {
  const said = known(run.looks, "verdicts", () => run.looks.filter((each) => each.verdict));
  if (!said.length) return "";
  const until = said.filter((each) => each.steps <= steps);
  const look = until.filter((each) => each.verdict.state !== "not measured").pop() || until.pop();
  if (!look) return `${run.name}: no verdict at this moment yet, the first one is of ${said[0].when}`;
  const { sentence, state } = look.verdict;
  const begin = firstSentence(sentence);
  return { run: run.name, steps: look.steps, state, begin: `${run.name}, ${look.when}${state === "seen" ? ", no alert" : ""}: ${begin}`, rest: sentence.slice(begin.length) };
}

// Up to the first full stop or semicolon.
export function firstSentence(text) {
  return /^.*?[.;](?=\s|$)/.exec(text)?.[0] ?? text;
}

// The runs that have been looked at, and what to say of the others on pages of maps.
export function withMaps(model) {
  const runs = model.runs.filter((run) => run.looks.length);
  const others = model.runs.filter((run) => !run.looks.length);
  const filters = others.filter((run) => run.onlyFilters).map((run) => run.name);
  const elsewhere = others.filter((run) => !run.onlyFilters).map((run) => run.name);
  const notes = [
    ...(filters.length ? [`${filters.join(", ")}: filters only, see Filters`] : []),
    ...(elsewhere.length ? [`${elsewhere.join(", ")}: no looks at the probe ${model.probe}`] : []),
    ...runs.map((run) => verdictOf(run, model.steps)).filter(Boolean),
  ];
  return { shown: { ...model, runs }, notes };
}
