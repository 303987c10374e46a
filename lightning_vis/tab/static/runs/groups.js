// Runs that look at the same photos, and the images of each such group in the order that is asked for. Pure functions.

import { known, lookAt } from "../page/looks.js";
import { isWrong, truthOf } from "../page/words.js";

const collator = new Intl.Collator("en", { numeric: true });

export const ORDERS = [
  { value: "given", text: "as in the probe" }, { value: "class", text: "by class" }, { value: "wrong", text: "wrong first" },
  { value: "changed", text: "changed most first" }, { value: "unsure", text: "least sure first" }, { value: "off", text: "evidence off the object first" },
];

// { key, inputs, runs, images }: runs whose photos, labels and class names are the same; those of unknown photos each for itself.
export function groupsOf(model, { order, only }) {
  const groups = new Map();
  for (const run of model.runs) {
    const key = keyOf(run);
    if (!groups.has(key)) groups.set(key, { key, runs: [] });
    groups.get(key).runs.push(run);
  }
  return [...groups.values()].map((group) => ({ ...group, run: group.runs.find((run) => run.inputs) || group.runs[0] }))
    .map((group) => ({ ...group, images: imagesOf(group, model, { order, only }) }));
}

function keyOf({ name, inputs }) {
  if (!inputs?.images) return JSON.stringify(name);
  return JSON.stringify([inputs.images, inputs.count, known(inputs.class_names, "text", () => inputs.class_names.join("\n")), inputs.truth]);
}

function imagesOf(group, model, { order, only }) {
  const count = Math.max(0, ...group.runs.map((run) => run.count));
  const kept = [...Array(count).keys()].filter((image) => isAsked(group, image, only));
  const rank = RANKS[order];
  if (!rank) return kept;
  const ranks = new Map(kept.map((image) => [image, rank(group, image, model)]));
  return kept.sort((one, other) => compared(ranks.get(one), ranks.get(other)) || one - other);
}

function compared(one, other) {
  return typeof one === "string" ? collator.compare(one, other) : one - other;
}

// All is asked of the newest look, so that nothing moves while the film plays. Lowest rank first.
const RANKS = {
  class: ({ run }, image) => truthOf(run.inputs, image),
  wrong: (group, image) => -wrongs(group, image),
  changed: (group, image) => -sum(group.runs.map((run) => changeOf(run, image))),
  unsure: (group, image) => least(group.runs.map((run) => newest(run)?.probability[image])),
  off: (group, image, { view }) => least(group.runs.map((run) => newest(run)?.per_image[`attribution/${view?.key}/lift`]?.[image])),
};

function isAsked(group, image, only) {
  if (only === "wrong") return wrongs(group, image) > 0;
  if (only === "right") return group.runs.some((run) => isWrong(run.inputs, newest(run), image) === false) && !wrongs(group, image);
  return !only || truthOf(group.run.inputs, image) === only.slice("class:".length);
}

function wrongs({ runs }, image) {
  return runs.filter((run) => isWrong(run.inputs, newest(run), image) === true).length;
}

// How often the answer became another one, and by how much the probability of the label has moved in all.
function changeOf({ looks }, image) {
  const turns = looks.filter((look, at) => at && look.predicted[image] !== looks[at - 1].predicted[image]).length;
  const shares = looks.map((look) => look.per_image["answers/label"]?.[image] ?? look.probability[image]).filter(Number.isFinite);
  return turns + (shares.length ? Math.max(...shares) - Math.min(...shares) : 0);
}

function newest(run) {
  return lookAt(run.looks, Infinity);
}

function least(values) {
  return Math.min(...values.filter(Number.isFinite));
}

function sum(values) {
  return values.reduce((total, each) => total + each, 0);
}

// The classes of all groups' images, to choose one of them.
export function classesOf(model) {
  const names = model.runs.flatMap((run) => [...Array(run.count).keys()].map((image) => truthOf(run.inputs, image))).filter(Boolean);
  return [...new Set(names)].sort(collator.compare);
}
