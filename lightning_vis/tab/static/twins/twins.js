// Twins: one object on several backgrounds, and what is answered on each. The proof beside the maps.

import { mark } from "../picture/cell.js";
import { againIn, element, fitCanvas, replace, say } from "../page/dom.js";
import { className, labelOf, lookAt } from "../page/looks.js";
import { Exchanges } from "./exchanges.js";
import { leastMoved, movedOf, onTwins, truthOf, whatMoves } from "../page/words.js";

const [LEAST, MOST] = [72, 112]; // so that all objects of a run stand in one row where there is room
const [BETWEEN, FRAME] = [6, 22]; // between an object's pictures, and around them
const READING = "Each object on each background: what is answered there, and the probability of the object's own class as number and bar. A red frame: the background alone turns a right answer into a wrong one.";
const EXCHANGES = "Exchanges: an object in its own photo, then in what surrounds another image of its class and one of another class. An orange frame: the answer is not the object's class. A red border: it shows what the verdict counts.";
const NUMBERS = "Each object on each background. Below: ";
const EMPTY = "No twins in these runs: give the Probe labels and masks, so that its objects can be pasted on other backgrounds.";

export class Twins {
  constructor(page) {
    this.page = page;
    this.root = element("div", { className: "sheets twins" });
    this.tiles = [];
    this.exchanges = new Map(); // run -> its exchanges
    this.first = null; // the run that a sentence has led to
  }

  // Whose sentence was pressed stands first.
  lead(run) {
    this.first = run;
  }

  scroll() {
    this.root.querySelector("h2")?.scrollIntoView({ block: "start" });
  }

  ready() {
    return Promise.resolve();
  }

  // Twins are asked of the first head, whichever one is looked through.
  update({ wholes, ...shown }) {
    const isFirst = (run) => run.name === this.first;
    const model = { ...shown, runs: [...wholes.filter(isFirst), ...wholes.filter((run) => !isFirst(run))] };
    const structure = JSON.stringify(model.runs.map((run) => [run.name, run.colour, run.twins?.key, wasAsked(run), hasVerdict(run), run.looks.some((look) => look.pictures.exchange)]));
    replace(this.root, structure, () => this.build(model));
    this.width = this.root.clientWidth || this.page.stage.clientWidth;
    for (const tile of this.tiles) this.fill(tile, model);
    this.paint(model);
  }

  build(model) {
    this.tiles = [];
    this.exchanges = new Map();
    if (!model.runs.some((run) => run.twins || hasVerdict(run))) return [element("p", { className: "empty", textContent: EMPTY })];
    const asked = model.runs.filter(wasAsked);
    const said = asked.map((run) => (isOfClasses(run) ? READING : `${NUMBERS}${onTwins(lastOf(run))}.`));
    const isExchanged = model.runs.some((run) => run.looks.some((look) => look.pictures.exchange));
    const reading = [...new Set(said), ...(isExchanged ? [EXCHANGES] : [])].map((textContent) => element("p", { className: "quiet effects", textContent }));
    return [...reading, ...model.runs.map((run) => this.section(run))];
  }

  section(run) {
    const when = element("span", { className: "quiet" });
    const effects = element("p", { className: "effects" });
    const head = element("h2", {}, element("strong", { textContent: run.name }), when);
    head.style.borderColor = `var(${run.colour})`;
    const again = element("div");
    this.tiles.push({ kind: "head", run: run.name, when, effects, again });
    const objects = [...Array(run.twins?.objects || 0).keys()].map((object) => this.object(run, object));
    const exchanges = new Exchanges(this.page, run.name);
    this.exchanges.set(run.name, exchanges);
    const none = run.twins || hasVerdict(run) ? [] : [element("p", { className: "quiet", textContent: "no twins in this run" })];
    return element("section", {}, head, again, effects, element("div", { className: "tiles" }, ...objects), ...none, exchanges.root);
  }

  object(run, object) {
    const label = truthOf(run.inputs, imageOf(run, object));
    const moved = element("div", { className: "quiet moved" });
    this.tiles.push({ kind: "object", run: run.name, object, moved });
    return element(
      "figure", { className: "object" }, element("div", { className: "small quiet", textContent: `twin ${object + 1}${label && `: ${label}`}` }),
      moved, element("div", { className: "tiles" }, ...run.twins.kinds.map((_, kind) => this.tile(run, object, kind))),
    );
  }

  tile(run, object, kind) {
    const canvas = element("canvas", { role: "img" });
    const says = element("span", { className: "name" });
    const share = element("span", { className: "quiet number" });
    const fill = element("i");
    fill.style.background = `var(${run.colour})`;
    const state = element("span", { className: "state" });
    const cross = element("span", { className: "cross", textContent: "✗", "aria-hidden": "true" });
    const place = element("span", { className: "quiet name", textContent: run.twins.kinds[kind], title: `on ${run.twins.kinds[kind]}` });
    const figure = element(
      "figure", {}, element("div", { className: "picture" }, canvas, state, cross), element("figcaption", {}, says),
      element("div", { className: "share" }, fill), element("div", { className: "measures" }, place, share),
    );
    this.tiles.push({ kind: "twin", run: run.name, object, place: kind, canvas, state, cross, says, share, fill, figure });
    return figure;
  }

  fill(tile, model) {
    const run = model.runs.find((each) => each.name === tile.run);
    const look = lookAt(run.looks, model.steps);
    if (tile.kind === "head") return this.fillHead(tile, run, look);
    if (tile.kind === "object") return fillMoved(tile, run, look);
    const image = imageOf(run, tile.object);
    const hasClass = look?.predicted[image] >= 0; // a number has no class to be named by
    const answers = run.twins.kinds.map((kind) => (hasClass ? look.per_image[`reliance/says/${kind}`]?.[image] : undefined));
    const kind = run.twins.kinds[tile.place];
    const own = look?.per_image[`reliance/on/${kind}`]?.[image];
    const label = labelOf(run.inputs, image);
    const answer = answers[tile.place];
    const isWrong = Number.isFinite(answer) && label !== null && answer !== label;
    const flips = isWrong && answers.some((each) => each === label);
    tile.figure.classList.toggle("flips", flips);
    tile.says.classList.toggle("wrong", isWrong);
    tile.cross.hidden = !isWrong;
    tile.says.textContent = tile.says.title = Number.isFinite(answer) ? className(run.inputs, answer) : "";
    tile.share.hidden = !wasAsked(run);
    tile.share.textContent = Number.isFinite(own) ? (isShare(look) ? own.toFixed(2) : String(Number(own.toPrecision(2)))) : "–";
    tile.share.title = isOfClasses(run) ? `probability of ${className(run.inputs, label)}, its own class` : onTwins(look);
    tile.fill.style.width = `${isShare(look) ? 100 * (own || 0) : 0}%`;
    const said = Number.isFinite(answer) ? `says ${className(run.inputs, answer)}${flips ? ", the answer flips" : ""}` : Number.isFinite(own) ? `${onTwins(look)} ${tile.share.textContent}` : "not asked";
    tile.canvas.setAttribute("aria-label", `object ${tile.object + 1}, ${className(run.inputs, label)} on ${kind}, run ${run.name}: ${said}`);
    const side = this.sideOf(run);
    tile.figure.style.width = `${side}px`;
    return fitCanvas(tile.canvas, side, Math.round((side * run.twins.size[0]) / run.twins.size[1]));
  }

  sideOf(run) {
    const { kinds, objects } = run.twins;
    return Math.max(LEAST, Math.min(MOST, Math.floor(((this.width + 8) / objects - FRAME - BETWEEN * (kinds.length - 1)) / kinds.length)));
  }

  fillHead(tile, run, look) {
    tile.when.textContent = look ? ` ${look.when}` : run.twins ? " not yet" : "";
    const points = (name) => (Number.isFinite(look?.numbers[`reliance/${name}`]) ? movedOf(look, look.numbers[`reliance/${name}`], "points") : null);
    const [background, object, shifted] = ["background_effect", "object_effect", "paste_control"].map(points);
    const also = `${object ? `, swapping the object by ${object}` : ""}${shifted ? `, moving the object by 3 pixels by ${shifted}` : ""}`;
    const said = look?.verdict?.picture === "twins" ? look.verdict.sentence : ""; // has the effects too, and names the twins to see
    tile.effects.classList.toggle("verdict", Boolean(said));
    tile.effects.dataset.state = said ? String(look.verdict.state) : "";
    tile.effects.textContent = said || (background ? `Swapping the background moves ${whatMoves(look)} by ${background}${also}.` : "");
  }

  paint(model) {
    const { painter } = this.page;
    const found = new Map(model.runs.filter((run) => run.twins).map((run) => [run.name, painter.stateOf([run.twins])]));
    for (const tile of this.tiles.filter((each) => each.canvas)) {
      const { twins } = model.runs.find((each) => each.name === tile.run);
      const state = found.get(tile.run);
      const isShown = state === "shown" && painter.paintPicture(tile.canvas, twins, tile.object * twins.kinds.length + tile.place);
      mark(tile, isShown ? "shown" : state === "shown" ? "missing" : state);
    }
    const exchanged = model.runs.map((run) => this.exchanges.get(run.name)?.update(run, model.steps));
    for (const tile of this.tiles.filter((each) => each.kind === "head")) {
      const run = model.runs.find((each) => each.name === tile.run);
      againIn(tile.again, this.page, painter.reasonOf([run.twins, ...(this.exchanges.get(run.name)?.shown || [])]));
    }
    this.root.setAttribute("aria-busy", String([...found.values(), ...exchanged].includes("loading")));
  }
}

// How far apart its own class, or what is measured of it, is on its backgrounds.
function fillMoved({ moved, object }, run, look) {
  const values = run.twins.kinds.map((kind) => look?.per_image[`reliance/on/${kind}`]?.[imageOf(run, object)]).filter(Number.isFinite);
  say(moved, values.length > 1 ? `moves by ${movedOf(look, Math.max(...values) - Math.min(...values), "points")}` : "", `${onTwins(look)}: the largest minus the smallest of its backgrounds`);
}

function hasVerdict(run) {
  return run.looks.some((look) => look.verdict);
}

// Whether something is known of each object on each background: of how a number moves there is only one of all.
function wasAsked(run) {
  return knows(run, "on");
}

function isOfClasses(run) {
  return knows(run, "says");
}

function knows(run, word) {
  return Boolean(run.twins) && run.looks.some((look) => run.twins.kinds.some((kind) => look.per_image[`reliance/${word}/${kind}`]));
}

// Whether what is said of an object lies between 0 and 1.
function isShare(look) {
  return leastMoved(look) === null;
}

function lastOf(run) {
  return run.looks[run.looks.length - 1];
}

// Ready-made twins are several probe images per object; the first one stands for it.
function imageOf(run, object) {
  return object * Math.max(1, Math.floor(run.count / run.twins.objects));
}
