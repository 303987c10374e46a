// What is written on, below and beside a tile of Compare: the answer, how sure, where the map lies, and the run's numbers.

import { element, put, replace, say } from "../page/dom.js";
import { known, partOf } from "../page/looks.js";
import { captionOf, countRight, errorOf, explainedApart, explainedOf, isWrong, measuredOf, movedOf, spoken, turnOf } from "../page/words.js";
import { standingAt } from "../timeline/alerts.js";
import { errorShare, liftShare } from "../timeline/axes.js";
import { NARROW } from "./layout.js";

const ROOMY = 180; // pixels: from them on a sentence has room

// `awaited` is the look whose pictures are on their way; until they are there, all that is said is of the look before it.
export function fillHead(tile, run, look, about) {
  const { awaited, reason, onAgain } = about;
  const { lines, lit } = about.minus ? { lines: [differenceLine(look, about.minus)], lit: [] } : linesOf(run, look, about);
  const waiting = awaited && awaited !== look ? [`loading ${awaited.when} …`] : [];
  replace(tile.facts, JSON.stringify([lines, lit, waiting, reason]), () => [
    ...waiting.map((line) => element("div", { className: "waiting", textContent: line })),
    ...(reason ? [element("button", { type: "button", className: "again", textContent: "again", title: `The picture could not be had: ${reason}`, onclick: onAgain })] : []),
    ...lines.map((line) => element("div", { textContent: line })),
    ...lit.map(({ state, text, title }) => element("div", { className: `alert ${state}`, textContent: text, title })),
  ]);
  tile.facts.title = look?.notes.join("\n") || "";
}

function linesOf(run, look, { key, steps, awaited }) {
  const isOld = look && look.steps !== steps && !awaited;
  const lines = [look ? look.when : "not yet", ...(isOld ? ["no look since then"] : [])];
  const { right, known: all } = countRight(run.inputs, look);
  if (all) lines.push(`${right} of ${all} right`);
  if (measuredOf(look)) lines.push(measuredOf(look));
  const lift = look?.numbers[`attribution/${key}/lift`];
  if (Number.isFinite(lift)) lines.push(`object ${times(lift)} chance`);
  const effect = look?.numbers["reliance/background_effect"];
  if (Number.isFinite(effect)) lines.push(`background effect ${movedOf(look, effect, "%")}`);
  return { lines, lit: standingAt(look) };
}

function differenceLine(look, minus) {
  return `${look?.when || "not yet"} minus ${minus.look?.when || "not yet"}`;
}

// Of a difference: from which answer to which one, from which probability to which, and what its maps explain where that differs.
export function fillDifference(tile, run, { look, part }, minus) {
  const { image } = tile;
  const { text, share } = turnOf(run.inputs, look, minus.look, image, minus.run.inputs);
  const apart = explainedApart(run.inputs, part, minus.part, image, minus.run.inputs);
  tile.bar.hidden = tile.error.hidden = true;
  tile.lift.hidden = !apart;
  tile.hasLift = false;
  tile.name.classList.toggle("wrong", isWrong(run.inputs, look, image) === true);
  tile.name.classList.add("words"); // two answers may need two lines
  say(tile.name, text, text);
  say(tile.probability, share);
  const explains = apart ? `what explains ${apart[0]} minus what explains ${apart[1]}` : "";
  say(tile.lift, apart ? `${apart[0]} minus ${apart[1]}` : "", explains);
  const whose = minus.run === run ? "" : `, run ${minus.run.name}`;
  const said = [spoken(minus.run.inputs, minus.look, image), spoken(run.inputs, look, image)];
  const words = [said[0] === said[1] ? said[0] : said.join(" → "), explains].filter(Boolean).join(", ");
  put(tile.canvas, "aria-label", `image ${image + 1}, difference, run ${run.name}, ${look?.when || "not yet"}, minus ${minus.look?.when || "not yet"}${whose}: ${words}`);
}

export function fillTile(tile, run, look, view) {
  const { image } = tile;
  const key = view?.key;
  fillCaption(tile, run, look, view);
  fillError(tile, run, look);
  const lift = look?.per_image[`attribution/${key}/lift`]?.[image];
  const hasLift = known(run.looks, `lift ${key}`, () => run.looks.some((each) => each.per_image[`attribution/${key}/lift`]));
  tile.bar.hidden = tile.lift.hidden = !hasLift;
  fillBar(tile, lift);
  tile.hasLift = hasLift;
  say(tile.lift, Number.isFinite(lift) ? `object ${times(lift)}` : "object –", "The map's share on the object over the object's share of the image: 1 × is chance, the tick on the bar");
  const says = spoken(run.inputs, look, image);
  const where = Number.isFinite(lift) ? `, on the object ${times(lift)} chance` : "";
  tile.canvas.setAttribute("aria-label", `image ${image + 1}, run ${run.name}, ${look?.when || "not yet"}: ${says}${where}`);
}

function fillCaption({ image, name, probability }, run, look, view) {
  const { text, share } = captionOf(run.inputs, look, image);
  const wrong = isWrong(run.inputs, look, image) === true;
  const explained = explainedOf(run.inputs, partOf(look, view), image);
  name.classList.toggle("wrong", wrong);
  name.classList.toggle("words", Boolean(look?.said));
  const title = [text && `${look.said ? "" : "says "}${text}`, explained && `explained: ${explained}`].filter(Boolean).join("; ");
  say(name, text && `${wrong ? "✗ " : ""}${text}`, title);
  say(probability, share);
}

// From two spreads of the targets too low to two too high, from the line at no error.
function fillError({ image, error, errorFill }, run, look) {
  error.hidden = !known(run.looks, `error ${image}`, () => run.looks.some((each) => errorOf(each, image) !== undefined));
  const value = errorOf(look, image);
  const at = Number.isFinite(value) ? errorShare(value) : 0.5;
  errorFill.style.left = `${100 * Math.min(at, 0.5)}%`;
  errorFill.style.width = `${100 * Math.abs(at - 0.5)}%`;
  const said = Number.isFinite(value) ? `error ${signed(value)} spreads of the targets` : "error not known";
  put(error, "title", `${said}; the bar goes from −2 to 2, the line is none`);
  put(error, "aria-label", said);
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}

// What is known of a map once its picture has come. Where one that nobody can see lies is true, but no finding.
export function describe(tile, map, { width, quantity, isWeak = false }) {
  tile.figure.classList.toggle("weak", isWeak);
  say(tile.state, tile.state.textContent, isWeak ? "Its strongest place shows no colour on this scale: what is said below of where it lies is true of next to nothing" : "");
  if (isWeak) put(tile.canvas, "aria-label", `${tile.canvas.getAttribute("aria-label")}; its map is too weak to be seen`);
  const where = map?.half ? percent(map.half) : "";
  const isLong = !tile.hasLift && width >= ROOMY;
  const text = isLong ? `half of it in ${where} of the image` : width < NARROW ? `half ${where}` : `half in ${where}`;
  say(tile.half, where ? text : "", map?.half ? `Half of the ${quantity} lies in ${percent(map.half)} of the image` : "");
}

// On a log axis from a quarter to four times chance, from the tick at chance to the value.
function fillBar(tile, lift) {
  const at = Number.isFinite(lift) ? liftShare(lift) : 0.5;
  tile.fill.style.left = `${100 * Math.min(at, 0.5)}%`;
  tile.fill.style.width = `${100 * Math.abs(at - 0.5)}%`;
}

function times(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ×`;
}

function percent(share) {
  return share < 0.01 ? "< 1 %" : `${Math.round(100 * share)} %`;
}
