// All that is known of one image at one look, as terms and values.

import { element } from "../page/dom.js";
import { captionOf, isWrong, numberUnitOf, tagged, truthOf } from "../page/words.js";

const NAMES = {
  "answers/label": "probability of the label, this photo", "answers/error": "error, in spreads of the targets",
};

// `name` says which of two that are compared this is, "" where there is one.
export function factsOf({ run, name }, look, image, view) {
  if (!look) return [];
  const { text, share } = captionOf(run.inputs, look, image);
  const wrong = isWrong(run.inputs, look, image);
  const truth = truthOf(run.inputs, image);
  const unit = numberUnitOf(look);
  const rows = [
    ["all of this is of", name], ["moment", `${look.when}, after ${Math.floor(look.steps)} steps`], ["answer", [text, share, text && unit && `in ${unit}`].filter(Boolean).join(", ")], ["truth", truth],
    ["right or wrong", wrong === null ? "" : wrong ? "wrong" : "right"],
    ...Object.entries(look.per_image).map(([tag, values]) => [nameOf(tag, view), valueOf(tag, values[image], run.inputs), tag]),
    ["note", look.notes.join(" ")],
  ];
  return rows.filter(([name, value]) => name && value).flatMap(([name, value, title]) => [element("dt", { textContent: name, title }), element("dd", { textContent: value })]);
}

function nameOf(tag, view) {
  const lift = /^attribution\/(.+)\/lift$/.exec(tag);
  if (lift) return lift[1] === view?.key ? "on the object, times chance" : "";
  const twin = /^reliance\/(says|on)\/(.+)$/.exec(tag);
  if (twin) return twin[1] === "says" ? `answer as a twin on ${twin[2]}` : `its own class as a twin on ${twin[2]}`;
  return NAMES[tag] || (tag.startsWith("attribution/") ? "" : tagged(tag));
}

function valueOf(tag, value, inputs) {
  if (!Number.isFinite(value)) return "";
  if (tag.startsWith("reliance/says/")) return inputs?.class_names?.[value] ?? `class ${value}`;
  return String(Number(value.toPrecision(3))).replace("-", "−");
}
