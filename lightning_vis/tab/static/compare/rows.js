// The rows that a group of runs has: what each shows at the moment, at another moment, and the difference. Pure functions.

import { lookAt, partOf } from "../page/looks.js";

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
