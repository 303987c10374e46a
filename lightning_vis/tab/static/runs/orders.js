// In which order images can stand, and which of them: what is asked of each, and of which runs it is known. Pure functions.

import { known, lookAt } from "../page/looks.js";
import { hasClasses, isWrong, movesOf, truthOf } from "../page/words.js";

// All but the change is asked of the newest look, so that nothing moves while the film plays.
export const ORDERS = [
  { value: "given", text: "as in the probe" }, { value: "class", text: "by class" }, { value: "changed", text: "changed most first" },
  { value: "wrong", text: "wrong first", isNewest: true }, { value: "unsure", text: "least sure first", isNewest: true },
  { value: "off", text: "evidence off the object first", isNewest: true },
];

// Lowest rank first.
const RANKS = {
  class: ({ run }, image) => truthOf(run.inputs, image),
  wrong: (group, image) => -wrongs(group, image),
  changed: (group, image) => -sum(group.runs.map((run) => movesOf(run, image)).filter(Number.isFinite)),
  unsure: (group, image) => least(group.runs.map((run) => newest(run)?.probability[image])),
  off: (group, image, view) => least(group.runs.map((run) => liftOf(run, view, image))),
};

const KNOWN = {
  class: (run, image) => hasClasses(newest(run)) && Boolean(truthOf(run.inputs, image)),
  wrong: (run, image) => isWrong(run.inputs, newest(run), image) !== null,
  changed: (run, image) => Number.isFinite(movesOf(run, image)),
  unsure: (run, image) => Number.isFinite(newest(run)?.probability[image]),
  off: (run, image, view) => Number.isFinite(liftOf(run, view, image)),
};

// Whether what an order goes by is known of any image of these runs.
export function isKnown(order, { runs, view }) {
  if (!KNOWN[order]) return true;
  const isOf = (run) => known(run.looks, `order ${order} ${view?.key}`, () => [...Array(run.count).keys()].some((image) => KNOWN[order](run, image, view)));
  return runs.some(isOf);
}

// The images in an order; those of which nothing is known, and all where nothing is, stay as they are in the probe.
export function inOrder(images, order, group, view, compared) {
  if (!RANKS[order] || !isKnown(order, { runs: group.runs, view })) return images;
  const ranks = new Map(images.map((image) => [image, RANKS[order](group, image, view)]));
  return [...images].sort((one, other) => compared(ranks.get(one), ranks.get(other)) || one - other);
}

// Whether an image is one of those that are asked for: all are where right and wrong are asked for and known of no run.
export function isAsked(group, image, only, model) {
  if (only === "wrong" || only === "right") return !isKnown("wrong", model) || (isJudged(group, image) && (only === "wrong") === (wrongs(group, image) > 0));
  return !only || truthOf(group.run.inputs, image) === only.slice("class:".length);
}

function isJudged({ runs }, image) {
  return runs.some((run) => KNOWN.wrong(run, image));
}

function wrongs({ runs }, image) {
  return runs.filter((run) => isWrong(run.inputs, newest(run), image) === true).length;
}

function liftOf(run, view, image) {
  return newest(run)?.per_image[`attribution/${view?.key}/lift`]?.[image];
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
