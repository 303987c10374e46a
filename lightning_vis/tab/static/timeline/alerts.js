// How the alerts of a run stood and stand: twins and the exchange of surroundings each for itself, said on one line. Pure functions.

import { firstSentence, known } from "../page/looks.js";

const WHAT = { "reliance/alert": "background", "reliance/surroundings_alert": "surroundings" };
const TAGS = Object.keys(WHAT);
const BY = "At every look over at least 5 % of the training, two looks at the least and none before the end of the first epoch, the background effect was, with one sign,";
const UNLESS = "These are the thresholds where the training was given no others.";
export const RED = `${BY} 0.25 or more, and its share 0.5 or more: of all objects, or of the six or more of one class. ${UNLESS}`;
export const AMBER = `Amber, less than the alert. ${BY} 0.2 or more, and its share 0.25 or more. A large effect with a small share, where the object moves the answer as well, is no alert. ${UNLESS}`;
export const SURROUNDINGS = "The answer followed the surroundings at two exchanges in a row.";
const FOUND = ["red", "amber", "seen"]; // states of a verdict that has found something

// The worst of the alerts that were asked for at a look: 1 where it is red, 0.5 where it is amber; null where none was.
export function alertAt(look) {
  const known = TAGS.map((tag) => look?.numbers[tag]).filter(Number.isFinite);
  return known.length ? Math.max(...known) : null;
}

// { state, text, title } of each alert that stands at a look.
export function standingAt(look) {
  const [twins, exchange] = TAGS.map((tag) => look?.numbers[tag]);
  return [
    ...(twins >= 1 ? [{ state: "red", text: "alert: background", title: RED }] : twins >= 0.5 ? [{ state: "amber", text: "background?", title: AMBER }] : []),
    ...(exchange >= 0.5 ? [{ state: "red", text: "alert: surroundings", title: SURROUNDINGS }] : []),
  ];
}

// { run, look, isPast, text, worst } of the runs that were ever lit: those that are red now first, then those that are amber, then the past.
export function alertsOf(runs) {
  const lit = runs.map(alertOf).filter(Boolean);
  return lit.sort((one, other) => other.level - one.level);
}

function alertOf(run) {
  const stories = known(run.looks, "alerts", () => TAGS.map((tag) => storyOf(run.looks, tag)).filter(Boolean));
  if (!stories.length) return null;
  const begin = stories.reduce((one, other) => (other.first.steps < one.first.steps ? other : one));
  const level = Math.max(...stories.map((story) => story.level));
  const text = `⚑ ${run.name}: ${WHAT[begin.tag]}, from ${begin.first.when}${untilOf(stories, begin, level)}`;
  return { run, look: begin.first, level, isPast: !level, text, worst: level ? worstOf(run.looks, latestOf(stories, level)) : "" };
}

// Since when one alert stood, how it stands at the newest look that asked, and, where it is gone, since when.
function storyOf(looks, tag) {
  const asked = looks.filter((look) => Number.isFinite(look.numbers[tag]));
  const isLit = (look) => look.numbers[tag] >= 0.5;
  const first = asked.find(isLit);
  if (!first) return null;
  const last = asked[asked.length - 1];
  return { tag, first, last, level: isLit(last) ? last.numbers[tag] : 0, gone: asked[asked.findLastIndex(isLit) + 1] };
}

// How it stands now: the alert that began, or the other one where that stands higher.
function untilOf(stories, begin, level) {
  if (!level) return `, gone since ${latest(stories.map((story) => story.gone)).when}`;
  const last = latestOf(stories, level);
  if (begin.level < level) return `; ${WHAT[stories.find((story) => story !== begin).tag]} at ${last.when}`;
  return last === begin.first ? "" : `, still${level < 1 ? ", in part," : ""} at ${last.when}`;
}

// The newest look at which it stood so.
function latestOf(stories, level) {
  return latest(stories.filter((story) => story.level === level).map((story) => story.last));
}

function latest(looks) {
  return looks.reduce((one, other) => (other.steps > one.steps ? other : one));
}

// What the newest verdict begins with: the class that it is worst for, in words; of another look than was just named with its own.
function worstOf(looks, named) {
  const look = looks.filter((each) => each.verdict && each.verdict.state !== "not measured").pop();
  if (!FOUND.includes(look?.verdict.state)) return "";
  return `. ${look === named ? "" : `At ${look.when}: `}${firstSentence(look.verdict.sentence).replace(/;$/, ".")}`;
}
