// How large tiles may be, so that all that is shown is seen at once. Pure functions of plain values.

import { known } from "../page/looks.js";
import { errorOf } from "../page/words.js";

const [MOST, LEAST, GLANCE] = [360, 112, 44]; // pixels of a tile's edge: at most, at least, and where all images are to be seen at a glance
export const NARROW = 138; // pixels: below them a name has a line of its own
const TINY = 84; // pixels: below them there is room for a name alone
const [LABELS, NARROWEST] = [158, 640]; // a column for what is said of runs, in windows from so many pixels on
const FEW = 8; // images of a page
const GAP = 8;
const CAPTION = 20;
const [NOTES, OTHERS, PAGER, HEAD] = [30, 40, 36, 58];
const [WORDS, LONG] = [17, 18]; // a second line of a caption, and from how many letters on there is one
const SPREAD = 9; // the bar of an error
const [MEASURES, STACKED] = [25, 40]; // what is written below a caption, on one line or, below narrow tiles, on two

// { side, columns, perPage, labels, isNarrow, isTiny, isTurned }: `columns` images stand side by side; turned, below each other.
export function layoutOf(groups, { width, height, notes, others, isGlance }) {
  const labels = width < NARROWEST ? 0 : LABELS;
  const room = { width: width - labels - (labels ? GAP : 0) - 2, height: height - 24 - (notes ? NOTES : 0) - (others ? OTHERS : 0), labels };
  const beside = isGlance || labels ? 0 : sideBySide(groups, room);
  if (beside >= TINY) return turned(groups, beside);
  const fits = (side) => heightAt(side, groups, room) <= room.height;
  const least = isGlance ? GLANCE : LEAST;
  let side = Math.min(MOST, room.width);
  while (side > least && !(fits(side) && (columnsAt(side, room) > 1 || isSingle(groups)))) side -= 2;
  const isPaged = !isGlance && !fits(side) && blocksIn(side, groups, room) * columnsAt(side, room) < mostOf(groups);
  if (isPaged) side = fullest(groups, room);
  side = Math.max(GLANCE, Math.min(side, room.width));
  const columns = Math.min(mostOf(groups), columnsAt(side, room));
  const perPage = isPaged ? columns * blocksIn(side, groups, room) : mostOf(groups);
  return { side, columns, perPage, labels, isNarrow: side < NARROW, isTiny: side < TINY, isTurned: false };
}

// How large tiles are where a photo and two or three rows of a narrow window stand as columns: what is compared is seen at once.
function sideBySide(groups, { width }) {
  const count = groups[0].rows.length;
  if (![2, 3].includes(count) || groups.some(({ run, rows }) => !run.inputs || rows.length !== count)) return 0;
  return Math.floor((width - GAP * count) / (count + 1));
}

function turned(groups, side) {
  const columns = Math.min(mostOf(groups), FEW);
  return { side, columns, perPage: columns, labels: 0, isNarrow: side < NARROW, isTiny: false, isTurned: true };
}

// Of pages of images the largest size at which there are eight on one, or as many as there are at the least size.
function fullest(groups, room) {
  const countAt = (side) => columnsAt(side, room) * blocksIn(side, groups, room);
  const enough = Math.min(FEW, countAt(LEAST));
  const isWhole = (side) => groups.reduce((sum, group) => sum + blockAt(side, group, room), 0) <= room.height - PAGER;
  let side = Math.min(MOST, room.width);
  while (side > LEAST && !(countAt(side) >= enough && isWhole(side))) side -= 2;
  return side;
}

function mostOf(groups) {
  return Math.max(1, ...groups.map((group) => group.images.length));
}

function isSingle(groups) {
  return groups.every((group) => group.images.length < 2);
}

function columnsAt(side, { width }) {
  return Math.max(1, Math.floor((width + GAP) / (side + GAP)));
}

function heightAt(side, groups, room) {
  const columns = columnsAt(side, room);
  return groups.reduce((sum, group) => sum + Math.ceil(group.images.length / columns) * blockAt(side, group, room), 0);
}

// How many blocks of images find room beside a pager; one at least.
function blocksIn(side, groups, room) {
  const one = groups.reduce((sum, group) => sum + blockAt(side, group, room), 0);
  return Math.max(1, Math.floor((room.height - PAGER) / one));
}

function blockAt(side, { run, runs, rows }, { labels }) {
  const tall = side * Math.max(...runs.map(({ inputs }) => (inputs ? inputs.size[0] / inputs.size[1] : 1)));
  const below = side < TINY ? 0 : side < NARROW ? STACKED : MEASURES;
  const row = (each) => tall + CAPTION + (side < TINY ? 0 : wordsOf(each)) + below + GAP + (labels ? 0 : HEAD);
  return (run.inputs ? tall + CAPTION + GAP : 0) + rows.reduce((sum, each) => sum + row(each.run), 0);
}

// Pixels that the words of a task take below a run's tiles, beside a caption of one line.
function wordsOf({ looks }) {
  return known(looks, "height of words", () => heightOfWords(looks));
}

function heightOfWords(looks) {
  const isLong = looks.some((look) => look.said?.some((text) => text.length > LONG));
  return (isLong ? WORDS : 0) + (looks.some((look) => errorOf(look, 0) !== undefined) ? SPREAD : 0);
}
