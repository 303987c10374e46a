// What the words, numbers and keys of the page mean, on the page itself.

import { Dialog } from "./dialog.js";
import { AMBER, RED, SURROUNDINGS } from "../timeline/alerts.js";
import { element } from "./dom.js";

const PARTS = [
  ["What is to be seen", [
    ["Compare", "all images at one moment: the photos above, below them a row for each run; of a single run each map may stand beside its photo. Press a tile to see it large."],
    ["all at a glance", "offered where not all images are seen: all at once, as large as the window allows; or it says how many are."],
    ["Film", "each image over time, the untrained network first; press a column to go there."],
    ["copy link", "a link to just what is shown, always with its moment; the address bar follows the training until a moment before the newest one is chosen."],
    ["verdict", "the sentence below the rows: the newest one up to the moment shown, with its look in front."],
    ["Filters", "pictures that excite a channel most."],
    ["Twins", "one object on several backgrounds, and what is answered on each: proof beside the maps. Exchanges stand below them."],
    ["probe", "the images that are looked at again and again; they are the same at every look."],
    ["look", "one visit to the network during training, at all images of the probe; a point on the timeline."],
  ]],
  ["What the maps are", [
    ["Evidence", "how much each place speaks for what is explained (warm) or against it (blue), in the unit that the sentence beside the legend names."],
    ["Grad-CAM", "where evidence for the answer lies, without what speaks against it."],
    ["Saliency", "where a small change of the image would change the score: sensitivity, not evidence."],
    ["shape only", "each map in multiples of its own mean: strong and weak maps look alike."],
    ["gain", "the value at which colours are full. One scale holds for all images, moments and runs."],
  ]],
  ["What the numbers are", [
    ["2 · bird", "the image's number, the same in every order, page and sentence; behind it what is true of it, or what is answered."],
    ["p", "the probability of the class that is answered; of a difference from which one to which."],
    ["bird minus mammal", "below a difference: its first map explains the one, its second map the other."],
    ["✗", "the answer is not the label. There is none where right and wrong are not known."],
    ["object 2.3 ×", "the map's share on the object over the object's share of the image: 1 × is chance, the tick on the bar."],
    ["lift", "another word for the number before: how many times chance the map lies on the object."],
    ["half in 19 %", "the smallest share of the image that holds half of the map: small is concentrated."],
    ["background effect", "by how much the answer moves when an object's background is swapped. The alert stands where that, beside what the object itself moves, says that the background is relied on."],
    ["alert: background", RED],
    ["background?", AMBER],
    ["alert: surroundings", SURROUNDINGS],
    ["twin", "the same object on another background, pasted by its mask or given with the probe. A red frame: the background alone turns a right answer into a wrong one."],
    ["exchange", "the object stays, what surrounds it in its own photo is replaced by what surrounds an object of another image. An orange frame: the answer leaves the label. A red border: it shows what the sentence counts."],
    ["background, surroundings", "twins stand on the backgrounds that are named below them; exchanges in what surrounds an object of another image. What is right in every twin may still follow surroundings."],
    ["white lines over a map", "in a tile opened large: the map's own cells; between their middles colours are interpolated."],
    ["(label)", "in a tile opened large: the class that the image has, among the most probable ones."],
    ["overlap (IoU)", "of a predicted mask and the true one: what both cover over what either covers."],
    ["changed most", "images whose answer turned most often, then those whose probability, error, IoU, similarity or number moved most, over all looks. Right and wrong, least sure and evidence off the object go by the newest look."],
  ]],
  ["What a tile may say", [
    ["loading", "the picture is on its way; what is dimmed is still of the look before, and so are its words."],
    ["could not be had", "the server did not give it; it is asked for again by itself, or when you press again."],
    ["not looked at", "there was no look of this run at that moment or before."],
    ["no map", "the look has no map of this view."],
    ["empty, constant, not finite", "the map is 0, has one value, or holds numbers that are none."],
    ["too weak to be seen", "in a small tile too weak, or weak: the map is not empty, but its strongest place shows no colour on this scale; where it lies is said faintly."],
    ["cannot be compared", "a difference of maps on unlike scales or units, or of one that is not finite: behind it stands why."],
  ]],
  ["Keys", [
    ["← →", "one look back or on"], ["Page up, Page down", "ten looks"], ["↑ ↓", "scroll the page"], ["Home, End", "first and last look"], ["space", "play and pause, on a tile too; a button or a tick box that has the keyboard is pressed"],
    ["1 2 3 4", "Compare, Film, Filters, Twins"], ["v", "the next view"], ["o", "the object's outline"], ["b", "a second moment B and what differs; with shift ← → it moves"],
    ["+ −", "zoom into the film, and out"], ["arrows on a tile, a photo or a moment", "go to the next one; Enter opens it, or goes there"], ["arrows on a map opened large", "read its values, cell by cell; a finger reads where it taps"], ["Esc", "close, leave a list or a slider, or back to the line of all images"], ["?", "help on the page"],
  ]],
];

export class Help {
  constructor() {
    this.dialog = new Dialog("help");
    this.button = element("button", { type: "button", className: "ask", textContent: "?", "aria-label": "help: what all this means (?)", title: "what all this means (?)", onclick: () => this.open() });
  }

  open() {
    if (!this.dialog.body.firstChild) this.dialog.body.append(...PARTS.map(partOf), linkOf());
    this.dialog.open("What all this means");
  }
}

function partOf([title, entries]) {
  const rows = entries.flatMap(([word, meaning]) => [element("dt", { textContent: word }), element("dd", { textContent: meaning })]);
  return element("section", {}, element("h3", { textContent: title }), element("dl", {}, ...rows));
}

function linkOf() {
  return element("p", { className: "quiet", textContent: "More of it stands in docs/tab.md, and how each number is computed in docs/numbers.md. Both files are in the source repository, not in the installed package." });
}
