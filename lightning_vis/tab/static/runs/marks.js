// How runs are told apart: a colour that stays with a run's name, and beyond eight runs a number besides and a dashed line.

const COLOURS = 8;
const STORE = "lightning_vis.marks";
const MOST = 500;
export const DASHES = [[], [8, 4], [2, 3], [9, 3, 2, 3], [14, 4], [5, 2, 2, 2, 2, 2]];

const collator = new Intl.Collator("en", { numeric: true });

// Names as people count: wd3 before wd11.
export function inOrder(names) {
  return [...names].sort((one, other) => collator.compare(one, other) || (one < other ? -1 : 1));
}

// Names without the words that all of them have in the same place: what is left tells them apart.
export function shortNames(names) {
  const words = names.map((name) => name.split(/(?<=[/_\- ]|\.(?!\d))/));
  const isAlike = names.length > 1 && words.every((each) => each.length === words[0].length);
  return new Map(names.map((name, at) => [name, (isAlike ? differing(words, at) : atEnds(words, at)) || name]));
}

// Of names that are made alike, as those of a search over settings are.
function differing(words, at) {
  const kept = words[at].filter((word, place) => words.some((each) => each[place] !== word));
  return kept.join("").replace(/[/_\-. ]$/, "");
}

// Of others, what all begin and end with is left out.
function atEnds(words, at) {
  const common = (list) => {
    const most = Math.min(...list.map((each) => each.length - 1));
    for (let place = 0; place < most; place += 1) if (list.some((each) => each[place] !== list[0][place])) return place;
    return Math.max(0, most);
  };
  if (words.length < 2) return "";
  const first = common(words);
  const last = common(words.map((each) => each.slice(first).reverse()));
  const kept = words[at].slice(first, words[at].length - last).join("").replace(/[/_\-. ]$/, "");
  return kept && `${first ? "…" : ""}${kept}${last ? "…" : ""}`;
}

export class Marks {
  constructor() {
    this.known = new Map(remembered()); // name -> [colour, number]
  }

  // Gives each new name a colour of its own as far as there are some; nobody else's changes by that. Of names that were never listed
  // together before, two may have the same mark: the second one keeps its colour and gets a number.
  add(names) {
    const placed = new Map(); // name -> mark, each mark once
    const taken = new Set();
    const own = names.filter((name) => this.known.has(name));
    for (const name of own) {
      const mark = this.known.get(name);
      if (!taken.has(String(mark))) placed.set(name, mark);
      taken.add(String(mark));
    }
    for (const name of own) if (!placed.has(name)) placed.set(name, numbered(this.known.get(name)[0], [...placed.values()]));
    for (const name of names) if (!placed.has(name)) placed.set(name, freeMark(name, [...placed.values()]));
    for (const [name, mark] of placed) this.known.set(name, mark);
    try {
      localStorage.setItem(STORE, JSON.stringify([...this.known].slice(-MOST)));
    } catch { /* a page from a file may not keep anything */ }
  }

  colourOf(name) {
    return `--run-${this.known.get(name)?.[0] ?? 0}`;
  }

  numberOf(name) {
    return this.known.get(name)?.[1] ?? 0;
  }
}

// The colour that fewest have, beginning with the one that the name itself leads to; the first number that is free with it.
function freeMark(name, taken) {
  const uses = [...Array(COLOURS).keys()].map((colour) => taken.filter(([each]) => each === colour).length);
  const from = hashOf(name) % COLOURS;
  const tried = [...Array(COLOURS).keys()].map((step) => (from + step) % COLOURS);
  const colour = tried.find((each) => uses[each] === Math.min(...uses));
  return numbered(colour, taken);
}

function numbered(colour, taken) {
  const numbers = new Set(taken.filter(([each]) => each === colour).map(([, number]) => number));
  return [colour, [...Array(numbers.size + 1).keys()].find((number) => !numbers.has(number))];
}

function hashOf(text) {
  let hash = 2166136261;
  for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619) >>> 0;
  return hash >>> 3;
}

function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE)) || [];
    return kept.filter(([name, mark]) => typeof name === "string" && mark.every((each) => Number.isInteger(each) && each >= 0) && mark[0] < COLOURS);
  } catch {
    return [];
  }
}
