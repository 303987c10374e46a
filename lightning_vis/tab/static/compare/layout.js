// How large tiles may be, so that all that is shown is seen at once. Pure functions of plain values.

import { known } from "../page/looks.js";
import { errorOf } from "../page/words.js";

const [MOST, LEAST, GLANCE] = [360, 112, 44]; // pixels of a tile's edge: at most, at least, and where all images are to be seen at a glance
const STEP = 2; // pixels from one size to the next
export const NARROW = 138; // pixels: below them a name has a line of its own
const TINY = 84; // pixels: below them there is room for a name alone
const [LABELS, NARROWEST] = [158, 640]; // a column for what is said of runs, in windows from so many pixels on
const FEW = 8; // images of a page
const PAPER = 700; // pixels of a sheet's width
const USED = 2 / 3; // of the width, where one has to scroll anyway
const [GAP, BARE, BETWEEN] = [8, 2, 10]; // between tiles, between those without captions, and from photos to other photos besides
export const PAIR = 8; // from pair to pair besides
const CAPTION = 20;
const [NOTES, OTHERS, PAGER, SEEN, HEAD] = [30, 40, 36, 26, 58];
const [WORDS, LONG] = [17, 18]; // a second line of a caption, and from how many letters on there is one
const SPREAD = 9; // the bar of an error
const [MEASURES, STACKED] = [25, 36]; // what is written below a caption, on one line or, below narrow tiles, on two

// { side, columns, perPage, labels, isNarrow, isTiny, isTurned, isPaired, isBare, isWhole, seen }: `columns` images stand side by side;
// turned, below each other; paired, each map beside its photo; bare, without captions. Whole, all are seen at once, else `seen` of them.
export function layoutOf(groups, { isGlance, isPaper, ...space }) {
  const room = roomOf(isPaper ? { ...space, width: Math.min(space.width, PAPER) } : space);
  const beside = isGlance || room.labels ? 0 : sideBySide(groups, room);
  if (beside >= TINY) return turned(groups, beside);
  if (isPaper) return layoutIn(room, groups, { side: scrolled(groups, room), perPage: mostOf(groups) });
  const whole = best(waysOf(groups, room, isGlance).map((way) => wholeIn(groups, way, isGlance ? GLANCE : LEAST)));
  if (whole) return layoutIn(whole.way, groups, { ...whole, perPage: mostOf(groups), isWhole: true });
  if (isGlance) return layoutIn(bare(room), groups, { side: GLANCE, perPage: mostOf(groups) });
  return pageOf(groups, room);
}

export function roomOf({ width, height, notes, others }) {
  const labels = width < NARROWEST ? 0 : LABELS;
  const whole = height - 24;
  return { width: width - labels - (labels ? GAP : 0) - 2, height: whole - (notes ? NOTES : 0) - (others ? OTHERS : 0), whole, labels };
}

// How tiles may be arranged: photos above maps; of one row beside them, too; at a glance without captions, where nothing else fits.
export function waysOf(groups, room, isGlance) {
  const isPair = room.labels && groups.every(({ run, rows }) => run.inputs && rows.length === 1);
  const ways = [room, ...(isPair ? [{ ...room, isPaired: true }] : [])];
  return isGlance ? [...ways, ...ways.map(bare)] : ways;
}

// What is said below all tiles may have to be scrolled to.
function bare(way) {
  return { ...way, height: way.whole, isBare: true };
}

// The largest size at which all images are seen at once; null where there is none.
function wholeIn(groups, way, least) {
  const side = sizes(way, least).find((each) => heightAt(each, groups, way) <= way.height && (columnsAt(each, way) > 1 || isSingle(groups)));
  return side ? { way, side, worth: way.isBare ? side - MOST : side } : null; // with captions rather than larger
}

// A page of images: of those with eight, or as many as there are at the least size, the one that covers most of the window.
function pageOf(groups, room) {
  const ways = waysOf(groups, room, false);
  const enough = Math.max(1, Math.min(FEW, Math.max(...ways.map((way) => countAt(LEAST, groups, way)))));
  const page = best(ways.flatMap((way) => sizes(way, LEAST).map((side) => ({ way, side, perPage: countAt(side, groups, way) })))
    .filter(({ perPage }) => perPage >= enough).map((each) => ({ ...each, worth: each.perPage * each.side ** 2 })));
  if (page) return layoutIn(page.way, groups, page);
  const side = scrolled(groups, room);
  const perPage = mostOf(groups) <= columnsAt(LEAST, room) ? mostOf(groups) : columnsAt(side, room);
  return layoutIn(room, groups, { side, perPage });
}

// Where nothing is seen at once: the least size that uses the width, as far as a photo and a map below it are.
function scrolled(groups, room) {
  const count = Math.min(mostOf(groups), columnsAt(LEAST, room));
  const isPair = (side) => groups.every((group) => pairAt(side, group, room) <= room.height);
  const rising = sizes(room, LEAST).reverse();
  const isUsed = (side) => Math.min(count, columnsAt(side, room)) * (side + GAP) - GAP >= USED * room.width;
  return rising.find((side) => isUsed(side) || !isPair(side + STEP)) ?? rising[rising.length - 1];
}

function layoutIn(way, groups, { side, perPage, isWhole = false }) {
  const { labels, isPaired = false, isBare = false } = way;
  const columns = Math.min(mostOf(groups), columnsAt(side, way));
  const seen = isWhole ? mostOf(groups) : seenAt(side, groups, way);
  return { side, columns, perPage, labels, isNarrow: side < NARROW, isTiny: side < TINY, isTurned: false, isPaired, isBare, isWhole, seen };
}

// Sizes of tiles from the largest that there is room for down to the least.
function sizes({ width, isPaired }, least) {
  const most = Math.max(GLANCE, Math.min(MOST, isPaired ? Math.floor((width - GAP - PAIR) / 2) : width));
  return most < least ? [most] : [...Array(Math.floor((most - least) / STEP) + 1).keys()].map((at) => most - STEP * at);
}

function best(found) {
  return found.filter(Boolean).reduce((one, other) => (one && one.worth >= other.worth ? one : other), null);
}

// How large tiles are where a photo and two or three rows of a narrow window stand as columns: what is compared is seen at once.
function sideBySide(groups, { width }) {
  const count = groups[0].rows.length;
  if (![2, 3].includes(count) || groups.some(({ run, rows }) => !run.inputs || rows.length !== count)) return 0;
  return Math.floor((width - GAP * count) / (count + 1));
}

function turned(groups, side) {
  const columns = Math.min(mostOf(groups), FEW);
  return { side, columns, perPage: columns, labels: 0, isNarrow: side < NARROW, isTiny: false, isTurned: true, isPaired: false, isBare: false, isWhole: false, seen: columns };
}

function mostOf(groups) {
  return Math.max(1, ...groups.map((group) => group.images.length));
}

function isSingle(groups) {
  return groups.every((group) => group.images.length < 2);
}

// How many images stand side by side.
export function columnsAt(side, { width, isPaired, isBare }) {
  const gap = isBare ? BARE : GAP;
  return Math.max(1, Math.floor((width + gap) / (isPaired ? 2 * (side + gap) + PAIR : side + gap)));
}

export function heightAt(side, groups, way) {
  const columns = columnsAt(side, way);
  const blocks = groups.reduce((sum, group) => sum + Math.ceil(group.images.length / columns) * blockAt(side, group, way), 0);
  return blocks + BETWEEN * (groups.length - 1);
}

// How many images are seen whole beside a pager.
function countAt(side, groups, way) {
  const one = groups.reduce((sum, group) => sum + blockAt(side, group, way), 0) + BETWEEN * (groups.length - 1);
  return columnsAt(side, way) * Math.floor((way.height - PAGER) / one);
}

// Of all images how many are seen before one scrolls.
function seenAt(side, groups, way) {
  let [seen, left] = [0, way.height - SEEN + (way.isBare ? BARE : GAP)]; // below the last tile there is no gap
  for (const group of groups) {
    const [block, columns] = [blockAt(side, group, way), columnsAt(side, way)];
    const blocks = Math.min(Math.ceil(group.images.length / columns), Math.max(0, Math.floor(left / block)));
    seen += Math.min(group.images.length, blocks * columns);
    left -= Math.ceil(group.images.length / columns) * block + BETWEEN;
  }
  return seen;
}

function blockAt(side, group, way) {
  const rows = group.rows.reduce((sum, { run }) => sum + rowAt(side, group, run, way), 0);
  return (way.isPaired ? 0 : photoAt(side, group, way)) + rows;
}

function pairAt(side, group, way) {
  return photoAt(side, group, way) + rowAt(side, group, group.rows[0].run, way);
}

function photoAt(side, group, { isBare }) {
  if (!group.run.inputs) return 0;
  return tallAt(side, group) + (isBare ? BARE : CAPTION + GAP);
}

function rowAt(side, group, run, { labels, isBare }) {
  const tall = tallAt(side, group) + (labels ? 0 : HEAD);
  if (isBare) return tall + BARE;
  if (side < TINY) return tall + CAPTION + GAP;
  return tall + CAPTION + wordsOf(run) + (side < NARROW ? STACKED : MEASURES) + GAP;
}

function tallAt(side, { runs }) {
  return side * Math.max(...runs.map(({ inputs }) => (inputs ? inputs.size[0] / inputs.size[1] : 1)));
}

// Pixels that the words of a task take below a run's tiles, beside a caption of one line.
function wordsOf({ looks }) {
  return known(looks, "height of words", () => heightOfWords(looks));
}

function heightOfWords(looks) {
  const isLong = looks.some((look) => look.said?.some((text) => text.length > LONG));
  return (isLong ? WORDS : 0) + (looks.some((look) => errorOf(look, 0) !== undefined) ? SPREAD : 0);
}
