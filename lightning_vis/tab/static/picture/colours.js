// Values to colours: the same formulas as in Scale and colormap.py, with the same constants (the server hands them over). A test compares pixels.

export const STEPS = 8; // table entries per stored code
const MOST_GAIN = 8; // the largest gain makes a limit so many times smaller
const UNSEEN = 0.06; // of the photo that a colour covers
const MIXTURES = 4096; // strengths told apart

export function limitOf(scale, settings, constants) {
  const isLog = scale.kind === "log" && settings.mode === "evidence";
  if (isLog && scale.limit > MOST_GAIN - 1) return (scale.limit + 1) * 2 ** -settings.gain - 1;
  if (isLog) return scale.limit * 2 ** -settings.gain; // that would not stay above 0
  return (scale.kind === "log" ? constants.densityLimit : scale.limit) * 2 ** -settings.gain;
}

// Where values lie on a scale: 0 is nothing, 1 its upper end, below 0 against. What does not hang on the value is reckoned once.
export function strengthOf(scale, stats, settings, constants) {
  const limit = limitOf(scale, settings, constants);
  const isLog = scale.kind === "log";
  const low = scale.signed ? -1 : 0;
  if (!isLog || settings.mode === "shape") {
    const own = isLog || scale.signed ? stats.magnitude : stats.mean;
    return (value) => clip(value / Math.max(own, 1e-30) / limit, low, 1);
  }
  const area = scale.by_area ? stats.area : 1;
  const whole = Math.log1p(limit);
  return (value) => clip((Math.sign(value) * Math.log1p(Math.abs(value * area))) / whole, low, 1);
}

function logShare(value, limit) {
  return (Math.sign(value) * Math.log1p(Math.abs(value))) / Math.log1p(limit);
}

export function opacity(share, constants) {
  return constants.opaque * (1 - (1 - Math.abs(share)) ** constants.rise);
}

// Whether even the strongest place of a map is too weak for anybody to see its colour.
export function isUnseen(map, settings, constants) {
  const share = strengthOf(map.scale, map, settings, constants)(map.maximum);
  return map.scale.kind === "log" && settings.opacity > 0 && opacity(share, constants) < UNSEEN;
}

export function colour(share, signed, settings, constants) {
  if (!signed) return interpolated(share, constants[settings.palette]);
  return share < 0 ? interpolated(-share, constants.cool) : interpolated(share, constants.warm);
}

// What becomes of the photo below: pixel = photo * keep + colour, four numbers for one strength.
export function mixture(share, scale, settings, constants) {
  const isDensity = scale.kind !== "log";
  if (settings.photo === "spotlight") {
    const light = 0.12 + 0.88 * (1 - (1 - clip(share, 0, 1)) ** constants.rise);
    return [0, 0, 0, 1 - settings.opacity * (1 - light)];
  }
  const cover = isDensity ? settings.opacity : opacity(share, constants) * settings.opacity;
  const [red, green, blue] = colour(share, scale.signed, settings, constants);
  return [red * cover, green * cover, blue * cover, 1 - cover];
}

// For every code of one map, STEPS entries per code: the place of its strength in the mixtures below. What speaks against stands as far
// from nothing as what speaks for it, so that each strength is reckoned once.
export function placesOfStrength(map, settings, constants) {
  const zero = map.scale.signed ? 128 * STEPS : 0;
  const places = new Uint16Array(255 * STEPS + 1);
  const shareOf = strengthOf(map.scale, map, settings, constants);
  const middle = map.scale.signed ? MIXTURES / 2 : 0;
  const unit = (map.maximum || 0) / (255 * STEPS - zero);
  for (let far = 0; far <= Math.max(zero, 255 * STEPS - zero); far += 1) {
    const steps = Math.round(shareOf(far * unit) * (MIXTURES - middle));
    if (zero + far < places.length) places[zero + far] = (middle + steps) * 4;
    if (far <= zero) places[zero - far] = (middle - steps) * 4;
  }
  return places;
}

// The mixture for every strength, from one end of a scale to the other: the same for all maps of a view.
export function mixturesOf(scale, settings, constants) {
  const table = new Float32Array((MIXTURES + 1) * 4);
  for (let at = 0; at <= MIXTURES; at += 1) {
    const share = scale.signed ? (2 * at) / MIXTURES - 1 : at / MIXTURES;
    table.set(mixture(share, scale, settings, constants), at * 4);
  }
  return table;
}

// The values at which a legend has its ticks, each with its place on the bar from 0 to 1.
export function ticksOf(scale, settings, constants) {
  const limit = limitOf(scale, settings, constants);
  const isLog = scale.kind === "log" && settings.mode === "evidence";
  const even = [...Array(63).keys()].map((power) => 2 ** (power + 1) - 1).filter((value) => value < limit * 0.999);
  const upper = isLog ? [0, ...even, limit] : [0, 1, limit / 2, limit].filter((value) => value <= limit);
  const values = scale.signed ? [...upper.slice(1).reverse().map((value) => -value), ...upper] : upper;
  const share = (value) => (isLog ? logShare(value, limit) : value / limit);
  return spread(values.map((value) => ({ value, at: scale.signed ? (share(value) + 1) / 2 : share(value) })));
}

// Ticks that do not run into each other; those at the ends and in the middle come first.
function spread(ticks) {
  const kept = [];
  const rank = (tick) => (tick.at < 0.001 || tick.at > 0.999 ? 0 : Math.abs(tick.value) < 1e-9 ? 1 : 2);
  for (const tick of [...ticks].sort((one, other) => rank(one) - rank(other))) {
    if (kept.every((other) => Math.abs(other.at - tick.at) > 0.09)) kept.push(tick);
  }
  return kept.sort((one, other) => one.at - other.at);
}

function interpolated(share, anchors) {
  const position = clip(share, 0, 1) * (anchors.length - 1);
  const low = Math.min(Math.floor(position), anchors.length - 2);
  return anchors[low].map((value, channel) => value + (anchors[low + 1][channel] - value) * (position - low));
}

// Anchors as numbers instead of hexadecimal digits.
export function parsedConstants(constants) {
  const parsed = { ...constants };
  for (const name of ["inferno", "cividis", "warm", "cool"]) {
    parsed[name] = constants[name].map((anchor) => [0, 2, 4].map((at) => parseInt(anchor.slice(at, at + 2), 16)));
  }
  return parsed;
}

function clip(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
