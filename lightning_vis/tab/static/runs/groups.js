// Runs that look at the same photos, and the images of each such group in the order that is asked for. Pure functions.

import { known } from "../page/looks.js";
import { hasClasses, truthOf } from "../page/words.js";
import { inOrder, isAsked } from "./orders.js";

const collator = new Intl.Collator("en", { numeric: true });

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
  const kept = [...Array(count).keys()].filter((image) => isAsked(group, image, only, model));
  return inOrder(kept, order, group, model.view, compared);
}

function compared(one, other) {
  return typeof one === "string" ? collator.compare(one, other) : one - other;
}

// The classes of all groups' images, to choose one of them.
export function classesOf(model) {
  const runs = model.runs.filter((run) => hasClasses(run.looks[run.looks.length - 1]));
  const names = runs.flatMap((run) => [...Array(run.count).keys()].map((image) => truthOf(run.inputs, image))).filter(Boolean);
  return [...new Set(names)].sort(collator.compare);
}
