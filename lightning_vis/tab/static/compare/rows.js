// The rows that a group of runs has: what each shows at the moment, at another moment, and the difference. Pure functions.

import { lookAt, partOf } from "../page/looks.js";
import { shortNames } from "../runs/marks.js";

// { id, run, steps, moment, minus }: `moment` is "A" or "B" where there are two, `minus` what is taken away: { run, steps, name }.
export function rowsOf(runs, model, against) {
  if (against === "moment") return runs.flatMap((run) => momentsOf(run, model));
  const other = runs.find((run) => `run:${run.name}` === against);
  return runs.flatMap((run) => [
    { id: run.name, run, steps: model.steps },
    ...(other && other !== run ? [{ id: `${run.name} - ${other.name}`, run, steps: model.steps, minus: { run: other, steps: model.steps, name: other.name } }] : []),
  ]);
}

function momentsOf(run, model) {
  return [
    { id: run.name, run, steps: model.steps, moment: "A" },
    { id: `${run.name} B`, run, steps: model.otherSteps, moment: "B" },
    { id: `${run.name} A - B`, run, steps: model.steps, minus: { run, steps: model.otherSteps, name: "B" } },
  ];
}

// What a row is called. A difference is called by both, so that it is known without the rows above it.
export function nameOf({ run, minus }, runs) {
  if (!minus) return run.name;
  const short = shortNames(runs.map(({ name }) => name));
  if (minus.run !== run) return `${short.get(run.name)} minus ${short.get(minus.run.name)}`;
  return runs.length > 1 ? `${short.get(run.name)}, A minus B` : "A minus B";
}

// { from, names }: of these runs another one is not taken away, because they look at other photos or have other labels; null where there are none.
export function apartOf(groups, against) {
  const run = groups.flatMap(({ runs }) => runs).find(({ name }) => `run:${name}` === against);
  const names = groups.filter(({ runs }) => !runs.includes(run)).flatMap(({ runs }) => runs.map(({ name }) => name));
  return run && names.length ? { from: run.name, names } : null;
}

// What a row shows: { look, part, other, minus }, the latter two of what is taken away.
export function shownOf(row, view) {
  const look = lookAt(row.run.looks, row.steps);
  const other = row.minus ? lookAt(row.minus.run.looks, row.minus.steps) : null;
  return { look, part: partOf(look, view), other, minus: partOf(other, view) };
}

// All pictures that a row needs; null where one of them was never taken.
export function sourcesOf({ run, minus }, shown, hasOutline) {
  if (!shown.part || (minus && !shown.minus)) return null;
  return [shown.part, shown.minus, run.inputs, hasOutline ? run.masks : null].filter(Boolean);
}
