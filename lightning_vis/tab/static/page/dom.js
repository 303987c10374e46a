// Building blocks of the page. Text only ever gets into the page as text nodes and attributes, never as markup.

import { giveBack, heldIn } from "../access/focus.js";

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// Words and what a pointer is told, written only where they are others: whatever is written is laid out anew.
export function say(node, text, title = null) {
  if (node.textContent !== text) node.textContent = text;
  if (title !== null && node.title !== title) node.title = title;
}

// An attribute, likewise.
export function put(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function choice(label, options, chosen, onChoose) {
  const group = element("div", { className: "choice", role: "radiogroup", "aria-label": label });
  options.forEach(({ value, text, title }) => {
    group.append(element("button", {
      type: "button", role: "radio", textContent: text, title: title || "", value,
      "aria-checked": String(value === chosen), tabIndex: value === chosen ? 0 : -1,
      onclick: () => onChoose(value),
      onkeydown: (event) => moveChoice(event, group),
    }));
  });
  return group;
}

function moveChoice(event, group) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  const buttons = [...group.children];
  const next = buttons[(buttons.indexOf(event.currentTarget) + step + buttons.length) % buttons.length];
  next.click();
  [...document.querySelectorAll(`[role=radiogroup][aria-label="${group.getAttribute("aria-label")}"] [role=radio]`)]
    .find((button) => button.value === next.value)?.focus();
}

// A picture that can be pressed: by the mouse, and by Enter where it has the focus; space plays the film there, too.
export function pressable(onPress) {
  return element("canvas", {
    role: "button", tabIndex: 0, onclick: onPress,
    onkeydown: (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      event.stopPropagation();
      onPress();
    },
  });
}

export function labelled(text, ...controls) {
  return element("label", { className: "labelled" }, element("span", { textContent: text }), ...controls);
}

// Sets a canvas to the size at which it is shown, in the screen's own pixels. True if that changed it.
export function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const size = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  if (canvas.width === size[0] && canvas.height === size[1]) return false;
  [canvas.width, canvas.height] = size;
  return true;
}

// Whether the window is so small that the page scrolls as a whole; the same condition as in the style sheet.
const flowing = window.matchMedia("(max-width: 700px), (max-height: 520px)");

export function isFlowing() {
  return flowing.matches;
}

const low = window.matchMedia("(max-height: 520px)");

// How high what is shown may be, to be seen at once between the bars.
export function heightOf(stage) {
  if (!isFlowing()) return stage.clientHeight;
  return window.innerHeight - (low.matches ? 90 : 160);
}

const paper = window.matchMedia("print");
let isPrinted = false; // the page is drawn for paper while it is still measured on the screen
for (const [name, value] of [["beforeprint", true], ["afterprint", false]]) window.addEventListener(name, () => { isPrinted = value; });

// On paper nobody turns pages of images.
export function isPaper() {
  return isPrinted || paper.matches;
}

const forced = window.matchMedia("(forced-colors: active)");
const sample = element("span", { hidden: true });
sample.style.forcedColorAdjust = "none";

// A colour of the style sheet for a canvas, which does not know by itself what the system's colours are.
export function cssColour(name) {
  if (!forced.matches) return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  if (!sample.isConnected) document.body.append(sample);
  sample.style.color = `var(${name})`;
  return getComputedStyle(sample).color;
}

// Text with its middle left out until it is at most so wide: both ends of a name tell it apart.
export function elided(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  for (let keep = text.length - 1; keep > 1; keep -= 1) {
    const short = `${text.slice(0, Math.ceil(keep / 2))}…${text.slice(text.length - Math.floor(keep / 2))}`;
    if (context.measureText(short).width <= width) return short;
  }
  return text.slice(0, 1);
}

// Makes children anew only when what they show has changed; what had the keyboard among them has it again.
export function replace(parent, name, make) {
  if (parent.dataset.shows === name) return;
  parent.dataset.shows = name;
  const held = heldIn(parent);
  const made = make();
  parent.replaceChildren(...(Array.isArray(made) ? made : [made]));
  if (held) giveBack(parent, held);
}

// What asks anew for pictures that could not be had, where there is a reason why.
export function againIn(parent, page, reason) {
  const button = () => element("button", { type: "button", className: "again", textContent: "again", title: `A picture could not be had: ${reason}`, onclick: () => page.again() });
  replace(parent, reason, () => (reason ? [button()] : []));
}

// What is said below the rows of runs, made anew where that has become something else.
export function notesIn(parent, notes, page) {
  replace(parent, JSON.stringify(notes), () => notes.map((each) => noteOf(each, (run, steps) => page.prove(run, steps))));
}

// A text, or its beginning and the rest, which opens at a press.
// Of a verdict the twins or exchanges to see are a press away: `onSee` is told the run and the look.
function noteOf(said, onSee) {
  if (typeof said === "string") return element("p", { className: "quiet note", textContent: said });
  const rest = withSee(said.rest, () => onSee(said.run, said.steps));
  const root = said.rest ? element("details", { className: "quiet note" }, element("summary", { textContent: said.begin }), ...rest)
    : element("p", { className: "quiet note" }, ...withSee(said.begin, () => onSee(said.run, said.steps)));
  root.dataset.state = said.state;
  return root;
}

// "See twins 1 and 6" within a sentence, as something that can be pressed.
function withSee(text, onclick) {
  return text.split(/(See (?:twins?|exchanges?) \d+(?:(?:, | and )\d+)*)/).map((part, at) => (
    at % 2 ? element("button", { type: "button", className: "see", textContent: part, title: "go to this run on the page Twins, at the look that this was said of", onclick }) : part
  ));
}

// An image's number, the same wherever it is spoken of: in sentences, labels and captions.
export function nthOf(image) {
  return element("span", { className: "nth", textContent: image + 1, title: `image ${image + 1}` });
}

export const NO_MAPS = "No maps in these runs: add ProbeCallback() to the Trainer's callbacks.";

// Leafs through images where there are more than a page holds.
export function pager(page, { pages, first, last, count }) {
  const go = (step) => () => page.change({ page: Math.min(pages - 1, Math.max(0, page.state.page + step)) });
  const choose = element("select", { "aria-label": "page of images", onchange: () => page.change({ page: Number(choose.value) }) });
  choose.append(...[...Array(pages).keys()].map((at) => element("option", { value: at, textContent: `page ${at + 1} of ${pages}` })));
  choose.value = Math.min(pages - 1, page.state.page);
  return element(
    "nav", { className: "pager", "aria-label": "images" },
    element("button", { type: "button", textContent: "‹", "aria-label": "previous images", disabled: first === 0, onclick: go(-1) }),
    element("span", { textContent: `images ${first + 1} to ${last} of ${count}` }),
    element("button", { type: "button", textContent: "›", "aria-label": "next images", disabled: last === count, onclick: go(1) }),
    choose,
  );
}
