// Which pictures stand in an opened cell: the photo, the map or the two that are compared, their difference, a predicted mask. Pure.

import { lookAt, partOf } from "../page/looks.js";
import { captionOf, explainedApart, explainedOf, isWrong, truthOf, turnOf } from "../page/words.js";
import { rowsOf } from "../compare/rows.js";
import { groupsOf } from "../runs/groups.js";

export const MASK = "mask"; // the view of a predicted mask, and the panel beside the map

// { kind, name, run, steps, minus }: kind is "input", "map", "difference" or "mask"; `name` says which of two it is; `minus` is what is taken away.
export function panelsOf(run, model, against) {
  const maps = mapsOf(run, model, against);
  const hasMask = model.view?.key !== MASK && run.looks.some((look) => look.maps.mask);
  return [
    ...(run.inputs ? [{ kind: "input", name: "input", run, steps: model.steps }] : []), ...maps, ...(hasMask ? [{ kind: MASK, name: MASK, run, steps: model.steps }] : []),
  ];
}

// What the rows of the run show on the page below, and the other run beside it where there is one.
function mapsOf(run, model, against) {
  const { runs } = groupsOf(model, { order: "given", only: null }).find((group) => group.runs.includes(run));
  const rows = rowsOf(runs, model, against).filter((row) => row.run === run);
  const [own, minus] = [rows.filter((row) => !row.minus), rows.find((row) => row.minus)?.minus];
  const maps = own.map(({ steps, moment }) => ({ kind: "map", name: moment || (minus ? run.name : ""), run, steps }));
  if (!minus) return maps;
  const others = maps.length > 1 ? [] : [{ kind: "map", name: minus.name, run: minus.run, steps: minus.steps }];
  return [...maps, ...others, { kind: "difference", name: `${maps[0].name} minus ${minus.name}`, run, steps: model.steps, minus }];
}

// { look, part, other, minus }, the latter two of what is taken away.
export function shownIn({ kind, run, steps, minus }, view) {
  const look = lookAt(run.looks, steps);
  const other = minus ? lookAt(minus.run.looks, minus.steps) : null;
  const read = (each) => (kind === MASK ? each?.maps.mask : partOf(each, view));
  return { look, part: kind === "input" ? run.inputs : read(look), other, minus: minus ? read(other) : null };
}

export function wordsOf(panel, shown, image) {
  const said = { input: photoWords, map: mapWords, difference: differenceWords, mask: maskWords }[panel.kind](panel, shown, image).filter(Boolean).join(" · ");
  return panel.name && panel.kind !== "input" && panel.kind !== MASK ? `${panel.name}: ${said}` : said;
}

function photoWords({ run }, _, image) {
  return [image + 1, truthOf(run.inputs, image)];
}

function mapWords({ run }, { look, part }, image) {
  const { text, share } = captionOf(run.inputs, look, image);
  const explained = explainedOf(run.inputs, part, image);
  const says = text ? `${isWrong(run.inputs, look, image) ? "✗ " : ""}${text}` : "";
  return [whenOf(look), says, share, explained && `explains ${explained}`];
}

function differenceWords({ run, minus }, { look, part, other, minus: partMinus }, image) {
  const { text, share } = turnOf(run.inputs, look, other, image, minus.run.inputs);
  const apart = explainedApart(run.inputs, part, partMinus, image, minus.run.inputs);
  return [`${whenOf(look)} minus ${whenOf(other)}`, text, share, apart && `what explains ${apart[0]} minus what explains ${apart[1]}`];
}

function maskWords({ run }, { look, part }, image) {
  const explained = explainedOf(run.inputs, part, image);
  const iou = look?.per_image["answers/iou"]?.[image];
  return [whenOf(look), `predicted mask${explained && ` of ${explained}`}`, Number.isFinite(iou) ? `overlap (IoU) ${iou.toFixed(2)}` : "", run.masks ? "white line: the true one" : ""];
}

export function whenOf(look) {
  return look ? look.when : "not looked at";
}
