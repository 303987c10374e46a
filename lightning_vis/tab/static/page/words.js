// What is said of answers and maps, in the words of their task: each thing in one function, for all pages. The same as Frame, Maps and
// Inputs say in Python. Facts of tasks are stored only where they differ from those of classes.

import { className, known, labelOf } from "./looks.js";

const CLASSES = "multiclass";
const LOG_ODDS = "log-odds";
const NOT_KNOWN = "What the output means is not known.";
const TARGET_UNIT = "target's unit"; // of a number of which nobody has said what it is
const OUTPUT = "<output>";
const IN_UNIT = "answers/mean_error"; // what is measured in the unit of the task
const MEASURES = {
  [IN_UNIT]: "mean absolute error", "answers/mean_squared_error": "mean squared error",
  "answers/mean_distance": "mean distance from the truth", "answers/mean_iou": "mean IoU",
};

// What the network answers of an image; of a class its probability besides.
export function captionOf(inputs, look, image) {
  if (look?.said) return { text: look.said[image] ?? "", share: "" };
  const predicted = look?.predicted[image];
  if (!(predicted >= 0)) return { text: "", share: "" };
  const probability = look.probability[image];
  return { text: className(inputs, predicted), share: Number.isFinite(probability) ? `p ${probability.toFixed(2)}` : "" };
}

// From which answer to which one, crossed where they are wrong, and from which probability to which, each of the class that is answered.
// Both runs look at the same photo.
export function turnOf(inputs, look, before, image, inputsBefore = inputs) {
  const [now, then] = [[inputs, look], [inputsBefore, before]].map(([known, each]) => ({ ...captionOf(known, each, image), cross: isWrong(known, each, image) ? "✗ " : "" }));
  const [from, to] = [then, now].map(({ cross, text }) => `${cross}${text || "?"}`);
  const share = now.share && then.share ? `${then.share} → ${now.share.slice("p ".length)}` : "";
  return { text: from === to ? now.text && to : `${from} → ${to}`, share };
}

// What the two maps of a difference explain, where that is not the same: of one and of the other.
export function explainedApart(inputs, part, minus, image, inputsBefore = inputs) {
  const [one, other] = [explainedOf(inputs, part, image), explainedOf(inputsBefore, minus, image)];
  return one && other && one !== other ? [one, other] : null;
}

// The same in a sentence, for those who hear the page.
export function spoken(inputs, look, image) {
  const { text } = captionOf(inputs, look, image);
  if (!text) return look && taskOf(look) !== CLASSES ? "no answer known" : "no answer yet";
  return `${look.said ? "" : "says "}${text}${isWrong(inputs, look, image) ? ", wrong" : ""}`;
}

// Null where nobody knows, or where there is no right and wrong.
export function isWrong(inputs, look, image) {
  if (look?.wrong) return look.wrong[image] ?? null;
  const label = labelOf(inputs, image);
  const predicted = look?.predicted[image];
  return label === null || !(predicted >= 0) ? null : predicted !== label;
}

// The most probable classes of an image, or labels each with its own probability: { name, share, isTrue }.
export function likeliestOf(inputs, look, image) {
  const label = labelOf(inputs, image);
  const kind = taskOf(look) === "multilabel" ? "label" : "class";
  const truths = truthOf(inputs, image).split(", "); // of several labels all that are true
  return withLabel(look?.top?.[image] || [], label, look?.per_image["answers/label"]?.[image]).map(([index, share]) => {
    const name = inputs?.class_names?.[index] ?? `${kind} ${index}`;
    return { name, share, isTrue: index === label || truths.includes(name) };
  });
}

// The label is among them, however improbable it is: next to none of it is what counts most.
function withLabel(top, label, share) {
  const isThere = !top.length || label === null || top.some(([index]) => index === label);
  return isThere || !Number.isFinite(share) ? top : [...top, [label, share]];
}

// What is true of an image; "" where nobody knows.
export function truthOf(inputs, image) {
  return inputs?.truth?.[image] ?? className(inputs, labelOf(inputs, image));
}

export function numberUnitOf(look) {
  return look?.task === "regression" && look.unit !== TARGET_UNIT ? look.unit || "" : "";
}

// What a map explains.
export function explainedOf(inputs, part, image) {
  if (!part || !part.classes) return "";
  return part.explains?.[image] ?? (isOutput(part) ? "" : className(inputs, part.classes[image]) || "the score");
}

// Whether a map explains something else than the one before it; at first, whether each image has its own.
export function explainsAnew(part, before, image) {
  if (!part.classes) return false;
  if (!before?.classes) return new Set(part.explains).size > 1;
  return part.explains || before.explains ? part.explains?.[image] !== before.explains?.[image] : part.classes[image] !== before.classes[image];
}

const NUMBER = /[-−]?\d+(\.\d+)?(e[-+]?\d+)?/;
const SHARES = /[-−]?\d+\.\d+/g; // within words: how sure, how alike; a grade or an image has none
const OF_NUMBERS = ["regression", "reconstruction", "unknown"]; // tasks whose answer is the number itself

// By how much the answer to an image has moved over all looks: how often it became another one, and how far its probability, error, IoU or
// similarity has gone in all. NaN where there are no two answers.
export function movesOf({ looks }, image) {
  return known(looks, `moves ${image}`, () => {
    const answered = looks.filter((look) => captionOf(null, look, image).text);
    if (answered.length < 2) return NaN;
    const words = answered.map((look) => sortOf(look, image));
    const shares = answered.map((look) => extentOf(look, image)).filter(Number.isFinite);
    return words.filter((each, at) => at && each !== words[at - 1]).length + (shares.length ? Math.max(...shares) - Math.min(...shares) : 0);
  });
}

// Whether what is true of an image can be a class, and is no number.
export function hasClasses(look) {
  return !OF_NUMBERS.includes(taskOf(look));
}

// What tells an answer from another one: its words, or its class; of a number nothing.
function sortOf(look, image) {
  if (!hasClasses(look)) return "";
  return look.said ? look.said[image].replace(SHARES, "") : look.predicted[image];
}

function extentOf(look, image) {
  const tag = ["answers/label", "answers/error", "answers/iou", "answers/nearest"].find((each) => Number.isFinite(look.per_image[each]?.[image]));
  if (tag) return look.per_image[tag][image];
  return hasClasses(look) ? look.probability[image] : Number.parseFloat(NUMBER.exec(look.said?.[image])?.[0].replace("−", "-"));
}

// How many answers are right, of how many of which that is known.
export function countRight(inputs, look) {
  const known = (look?.predicted || []).map((_, image) => isWrong(inputs, look, image)).filter((wrong) => wrong !== null);
  return { right: known.filter((wrong) => !wrong).length, known: known.length };
}

// The signed error over the spread of the targets; undefined where a task knows no such thing.
export function errorOf(look, image) {
  return look?.per_image["answers/error"]?.[image];
}

// What the numbers of the looks are, by their tags; docs/numbers.md has how each is computed.
const TAGS = {
  "reliance/background_effect": "effect of the background on the answer", "reliance/object_effect": "effect of the object on the answer",
  "reliance/background_share": "the background's share of both effects", "reliance/background_effect_error": "standard error of the background's effect",
  "reliance/home_effect": "own class on its typical background, minus elsewhere", "reliance/alert": "alert: background",
  "reliance/paste_control": "control: effect of pasting 3 pixels further", "reliance/within_kind": "control: two backgrounds of one kind",
  "reliance/only_background_accuracy": "how often the background alone is called its class", "reliance/worst_group": "accuracy of the worst group of twins",
  "reliance/typical_gap": "accuracy on the typical background, minus elsewhere", "reliance/background_channels": "share of channels that the background drives",
  "reliance/age": "looks since a monitored number was measured", "reliance/surroundings_effect": "effect of the surroundings on the answer",
  "reliance/surroundings_effect_error": "standard error of the surroundings' effect", "reliance/surroundings_share": "the surroundings' share of both effects",
  "reliance/surroundings_alert": "alert: surroundings", "reliance/surroundings_measured": "whether exchanges have been measured", "reliance/surroundings_age": "epochs and validations since exchanges were measured",
  "answers/label": "probability of the label", "answers/error": "error over the spread of the targets", "answers/iou": "IoU", "answers/nearest": "similarity to the nearest image",
  "lightning_vis/seconds": "seconds that the look took",
};

// A number's name in words, with the head of the network that it is of; of one that nobody has named, the tag itself.
export function tagged(tag) {
  const [name, head] = tag.split("@");
  return TAGS[name] ? `${TAGS[name]}${head ? ` (${head})` : ""}` : tag;
}

// What is measured of the maps of a view.
const OF_MAPS = {
  lift: (title) => `on the object: ${title}, × chance`, background_lift: (title) => `on the background: ${title}, × chance`,
  pointing: (title) => `strongest place on the object: ${title}`, empty: (title) => `empty maps: ${title}`,
  explained: (title) => `share of the score explained by ${title}`, completeness: (title) => `share of the score's rise that adds up: ${title}`,
  prefix: (title) => `share in tokens without a place: ${title}`, random_weights: (title) => `likeness to maps of shuffled weights: ${title}`,
};

// A number of a view in words; undefined of other numbers.
export function measureOfMaps(tag, views) {
  const [, key, what] = /^attribution\/(.+)\/([^/]+)$/.exec(tag) || [];
  const title = key === "edges" ? "edges of the photo" : views.find((view) => view.key === key)?.title || key;
  return OF_MAPS[what]?.(title);
}

// How far answers that are more or less right are off, with what was measured: "mean absolute error (years) 2.52".
export function measuredOf(look) {
  const tag = Object.keys(MEASURES).find((each) => Number.isFinite(look?.numbers[each]));
  if (!tag) return "";
  return `${measureOf(tag, look.unit)} ${Number(look.numbers[tag].toPrecision(3))}`;
}

// What a number of the looks measures, with its unit where it has one; undefined of other numbers.
export function measureOf(tag, unit) {
  return tag === IN_UNIT && unit ? `${MEASURES[tag]} (${unit})` : MEASURES[tag];
}

// How the outputs of these runs are read, in one sentence for all of them where they agree; "" where they tell classes apart.
export function answersOf(model) {
  return agreed(model.runs.map((run) => [run.name, answerOf(run.looks[run.looks.length - 1])]));
}

function answerOf(look) {
  if (taskOf(look) === CLASSES && !look?.head) return "";
  return look.answer || (look.task === "unknown" ? NOT_KNOWN : "");
}

function taskOf(look) {
  return look?.task || CLASSES;
}

// What is said of all runs alike, else of each by its name.
export function agreed(said) {
  const known = said.filter(([, text]) => text);
  return new Set(said.map(([, text]) => text)).size === 1 ? known[0]?.[1] || "" : known.map(([name, text]) => `${name}: ${text}`).join(" ");
}

const SENSITIVITIES = ["saliency", "SmoothGrad"]; // titles; as in constants.py

// How the colours of a view are to be read in these settings, run by run.
export function readingOf(model, settings) {
  const { view } = model;
  const runs = model.runs.map((run) => [run.name, run.looks.map((look) => look.maps[view.key]).filter(Boolean)]);
  return agreed(runs.filter(([, parts]) => parts.length).map(([name, parts]) => [name, readingOfParts(parts, view, settings)]));
}

// How the colours of a difference are to be read; they are those of signed maps, whatever the view's own are.
export function differenceReadingOf({ scale }, limit, { mode, photo }) {
  const unit = scale.kind === "log" && mode === "evidence" ? "" : " times a map's own mean";
  if (photo === "spotlight") return `lit where there is more in the first one, fully from ${Number(limit.toPrecision(2))}${unit} on; where there is less does not show.`;
  return `warm where there is more in the first one, blue where there is less, in full colour from ${Number(limit.toPrecision(2))}${unit} on.`;
}

// What the colours of one map of evidence say of what it explains; "" where its scale has no sign.
export function signsOf({ scale, ...part }, explained, { photo }) {
  if (!explained || isOutput(part) || scale?.kind !== "log" || !scale.signed) return "";
  const [up, down] = unitOf([part]) === LOG_ODDS ? ["speaks for", "against"] : ["raises", "lowers"];
  return photo === "spotlight" ? `lit: ${up} ${explained}` : `warm ${up} ${explained}, blue ${down} it`;
}

function readingOfParts(parts, { title, scale }, { mode, photo }) {
  const isShape = scale.kind === "log" && mode === "shape";
  const isLit = photo === "spotlight";
  const unit = isShape ? "multiples of each map's own mean" : unitOf(parts);
  const whose = whoseOf(parts);
  const only = isShape ? " Only the shape counts, strong and weak maps look alike." : "";
  const inUnit = unit ? ` in ${unit === TARGET_UNIT ? `the ${unit}` : unit}` : "";
  if (isOutput(parts[0])) return `The ${title}${ofOne(parts)}${inUnit && `,${inUnit}`}: the output itself, not what it rests on.`;
  if (scale.kind !== "log" && !SENSITIVITIES.includes(title)) return `${title} of ${whose}: its shape alone, in multiples of its own mean.${scale.signed ? (isLit ? " Lit: for; against does not show." : " Warm: for, blue: against.") : ""}`;
  if (scale.kind !== "log") return `Sensitivity of ${whose}: where a small change would matter; not what the answer rests on.`;
  if (!scale.signed) return `Where the evidence for ${whose} lies${inUnit && `,${inUnit}`}.${only}`;
  const [up, down] = unitOf(parts) === LOG_ODDS ? ["speaks for", "against"] : ["raises", "lowers"];
  if (isLit) return `Evidence${inUnit}: lit where it ${up} ${whose}; what ${down === "against" ? "speaks against" : "lowers"} it does not show.${only}`;
  return `Evidence${inUnit}: warm ${up} ${whose}, blue ${down} it.${only}`;
}

function unitOf(parts) {
  return parts[parts.length - 1].unit ?? LOG_ODDS;
}

function ofOne(parts) {
  const words = new Set(parts.flatMap((part) => part.explains || []));
  return words.size === 1 ? ` of ${[...words][0]}` : "";
}

// Whether it shows the output itself, an error or a predicted mask, and does not explain it.
function isOutput(part) {
  return part?.layer === OUTPUT;
}

// What swapping moves where it is no class's probability, and the unit of numbers that are no shares.
const MOVED = {
  ordinal: { share: "% of the scale" }, regression: { unit: "spreads" }, segmentation: { what: "the IoU of the object" },
  embedding: { what: "the embedding", unit: "in cosine" }, reconstruction: { what: "the error on the object", unit: "in squared error", least: 0 },
};

// Up to where an axis of what moves goes at least, where that is no share; errors have no size of their own.
export function leastMoved(look) {
  return MOVED[look?.task]?.unit ? MOVED[look.task].least ?? 0.5 : null;
}

// By how much an answer moves.
export function movedOf(look, value, points) {
  const { unit, share } = MOVED[look?.task] || {};
  const number = Math.abs(value) < 0.01 ? String(Number(value.toPrecision(2))) : value.toFixed(2);
  const whole = Math.round(100 * value);
  return (unit ? `${number} ${unit}` : `${whole} ${share || (Math.abs(whole) === 1 && points === "points" ? "point" : points)}`).replace("-", "−");
}

// What swapping moves.
export function whatMoves(look) {
  return MOVED[look?.task]?.what || "the answer";
}

// What stands below a twin: of an object's own class how probable it is, how well its mask is met; of a picture the error.
export function onTwins(look) {
  return { segmentation: "IoU of the object and what is predicted as its class", reconstruction: "squared error on the object" }[look?.task] || "probability of the object's own class";
}

function whoseOf(parts) {
  const { target } = parts[parts.length - 1];
  const words = new Set(parts.flatMap((part) => part.explains || []));
  if (words.size === 1) return [...words][0];
  if (words.size) return (unitOf(parts) === LOG_ODDS && { label: "what is true", predicted: "what is answered" }[target]) || "what is explained";
  if (parts.every((part) => part.classes.every((each) => each < 0))) return "the score";
  return { label: "the label", predicted: "the predicted class", runner_up: "the runner-up" }[target] || `class ${target}`;
}

// What there is more of where a map is strong.
export function quantityOf(view) {
  if (!isOutput(view) && view.scale.kind === "log") return "evidence";
  return SENSITIVITIES.includes(view.title) ? "sensitivity" : view.title;
}
