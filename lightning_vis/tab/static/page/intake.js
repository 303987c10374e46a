// What the server has answered, as the page can rely on it: a damaged field is left out, a damaged part is called so, and takes no other along.

const DAMAGED = "what is stored of it is damaged";
const MOST_SIDE = 8192;
const SCALE = { kind: "log", limit: 31, signed: false, by_area: false };

export function soundRuns(answer) {
  const runs = listOf(answer?.runs).filter((each) => typeof each?.run === "string");
  return runs.map(({ run, newest }) => ({ run, newest: Number.isFinite(newest) ? newest : 0 }));
}

export function soundStreams(streams) {
  return listOf(streams).filter((each) => isObject(each) && typeof each.probe === "string").map((stream) => ({
    probe: stream.probe, kind: stream.kind === "sheets" ? "sheets" : "frames",
    inputs: soundInputs(stream.inputs), masks: hasSize(stream.masks) ? stream.masks : null, twins: soundTwins(stream.twins),
    places: listOf(stream.places).filter(Number.isFinite),
    looks: listOf(stream.looks).filter((look) => isObject(look) && Number.isFinite(look.steps)).map(soundLook),
  }));
}

function soundInputs(inputs) {
  if (!isObject(inputs)) return null;
  const count = countOf(inputs.count);
  const known = { ...inputs, count, note: textOf(inputs.note), class_names: listOf(inputs.class_names).map(textOf) };
  known.labels = Array.isArray(inputs.labels) ? inputs.labels.map((each) => (Number.isInteger(each) ? each : null)) : null;
  known.truth = Array.isArray(inputs.truth) ? inputs.truth.map(textOf) : undefined;
  return hasSize(inputs) && count ? known : { ...known, size: [1, 1], broken: DAMAGED };
}

function soundTwins(twins) {
  const isSound = hasSize(twins) && countOf(twins.objects) && Array.isArray(twins.kinds) && twins.kinds.length;
  return isSound ? { ...twins, kinds: twins.kinds.map(textOf) } : null;
}

function soundLook(look) {
  const predicted = listOf(look.predicted).map((each) => (Number.isInteger(each) ? each : -1));
  return {
    ...look, ...wordsOf(look), predicted, when: textOf(look.when) || `step ${look.steps}`, step: Number.isFinite(look.step) ? look.step : look.steps - 1,
    epoch: Number.isInteger(look.epoch) ? look.epoch : undefined,
    probability: predicted.map((_, image) => (Number.isFinite(look.probability?.[image]) ? look.probability[image] : null)),
    numbers: entriesOf(look.numbers, Number.isFinite), per_image: entriesOf(look.per_image, Array.isArray), notes: listOf(look.notes).map(textOf),
    top: soundTop(look.top), heads: soundHeads(look.heads), verdict: isObject(look.verdict) && textOf(look.verdict.sentence) ? look.verdict : undefined,
    maps: partsOf(look.maps, soundMap), pictures: partsOf(look.pictures, soundPicture),
  };
}

function wordsOf({ said, wrong, answer }) {
  return {
    said: Array.isArray(said) ? said.map(textOf) : undefined, answer: textOf(answer),
    wrong: Array.isArray(wrong) ? wrong.map((each) => (typeof each === "boolean" ? each : null)) : undefined,
  };
}

// The most probable classes of each image.
function soundTop(top) {
  const isPair = (each) => Array.isArray(each) && Number.isInteger(each[0]) && each[0] >= 0 && each[1] >= 0 && each[1] <= 1;
  return listOf(top).map((each) => listOf(each).filter(isPair));
}

function soundHeads(heads) {
  const sound = entriesOf(heads, isObject);
  return Object.fromEntries(Object.entries(sound).map(([name, head]) => [name, { ...head, ...wordsOf(head), truth: listOf(head.truth).map(textOf) }]));
}

function soundMap(part, key) {
  const { scale } = part;
  const hasScale = isObject(scale) && typeof scale.kind === "string" && Number.isFinite(scale.limit) && scale.limit > 0;
  const isSound = hasSize(part) && hasScale && [part.maximum, part.mean, part.classes].every(Array.isArray) && part.maximum.length;
  const known = { ...part, title: textOf(part.title) || key, target: textOf(part.target), layer: textOf(part.layer), classes: listOf(part.classes) };
  known.explains = Array.isArray(part.explains) ? part.explains.map(textOf) : undefined;
  if (!isSound) return { ...known, maximum: [], scale: hasScale ? scale : SCALE, broken: DAMAGED };
  const finite = (values) => values.map((each) => (Number.isFinite(each) ? each : null));
  return { ...known, maximum: finite(part.maximum), mean: finite(part.mean) };
}

function soundPicture(part) {
  const texts = Array.isArray(part.names) ? part.names.map(textOf) : undefined;
  const known = { ...part, names: texts, dead: listOf(part.dead), prefers_probe: listOf(part.prefers_probe), count: countOf(part.count) };
  return hasSize(part) && known.count ? known : { ...known, size: [1, 1], broken: DAMAGED };
}

function partsOf(parts, sound) {
  return Object.fromEntries(Object.entries(entriesOf(parts, isObject)).map(([key, part]) => [key, sound(part, key)]));
}

function hasSize(part) {
  const size = part?.size;
  return Array.isArray(size) && size.length === 2 && size.every((side) => Number.isInteger(side) && side > 0 && side <= MOST_SIDE);
}

function countOf(count) {
  return Number.isInteger(count) && count > 0 && count <= MOST_SIDE ? count : 0;
}

function entriesOf(value, isSound) {
  return isObject(value) ? Object.fromEntries(Object.entries(value).filter(([, each]) => isSound(each))) : {};
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value) {
  return Array.isArray(value) ? value : [];
}

function textOf(value) {
  return typeof value === "string" ? value : "";
}
