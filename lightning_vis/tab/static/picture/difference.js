// The difference of two maps of one image: what there is more of in the first one, on the same scale. Pure arithmetic.

// Why an image's maps in two parts cannot be compared; "" where they can. Maps that explain different things can be: their caption says so.
export function unlikeOf(one, other, image) {
  const reason = reasonOf(one, other, image);
  return reason && `cannot be compared: ${reason}`;
}

function reasonOf(one, other, image) {
  if (!one.maximum || !other.maximum) return "no maps";
  if (one.maximum[image] === null || other.maximum[image] === null) return "not finite";
  if (one.scale.kind !== other.scale.kind || one.scale.limit !== other.scale.limit) return "unlike scales";
  return one.scale.kind === "log" && one.unit !== other.unit ? "unlike units" : "";
}

export function differenceOf(one, other, mode) {
  const [height, width] = [Math.max(one.height, other.height), Math.max(one.width, other.width)];
  const [first, second] = [one, other].map((map) => resampled(valuesOf(map, mode), map, height, width));
  const values = first.map((value, at) => value - second[at]);
  const maximum = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const codes = Uint8Array.from(values, (value) => Math.round(128 + (maximum ? (127 * value) / maximum : 0)));
  const scale = { ...one.scale, signed: true, by_area: false };
  return { codes, height, width, scale, area: 1, maximum, mean: 1, magnitude: 1, half: null, state: maximum <= 1e-10 ? "no difference" : "" };
}

// In what its scale counts in: units of the score, or multiples of the map's own mean.
function valuesOf(map, mode) {
  const zero = map.scale.signed ? 128 : 0;
  const isShape = map.scale.kind !== "log" || mode === "shape";
  const own = map.scale.kind === "log" || map.scale.signed ? map.magnitude : map.mean;
  const factor = isShape ? 1 / Math.max(own, 1e-30) : map.scale.by_area ? map.area : 1;
  return Float32Array.from(map.codes, (code) => (factor * map.maximum * (code - zero)) / (255 - zero));
}

function resampled(values, map, height, width) {
  if (map.height === height && map.width === width) return values;
  const at = (place, cells, size) => Math.min(cells - 1, Math.max(0, ((place + 0.5) * cells) / size - 0.5));
  return Float32Array.from({ length: height * width }, (_, place) => {
    const [y, x] = [at(Math.floor(place / width), map.height, height), at(place % width, map.width, width)];
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const [below, right] = [Math.min(map.height - 1, top + 1), Math.min(map.width - 1, left + 1)];
    const row = (line) => values[line * map.width + left] * (1 - (x - left)) + values[line * map.width + right] * (x - left);
    return row(top) * (1 - (y - top)) + row(below) * (y - top);
  });
}
