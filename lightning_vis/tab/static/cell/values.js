// The value of a map at a place, in words. Pure.

// `x` and `y` are shares of the picture's width and height.
export function valueUnder(map, x, y, { quantity, unit, mode }) {
  if (!map || map.maximum === null) return "";
  const { value, place } = at(map, x, y);
  const isLog = map.scale.kind === "log";
  const times = `${rounded(value / Math.max(isLog || map.scale.signed ? map.magnitude : map.mean, 1e-30))} times the map's mean`;
  const said = `${quantity} ${rounded(map.scale.by_area ? value * map.area : value)}${unit ? ` ${unit}` : ""}`;
  return `${place}: ${isLog ? said : ""}${isLog && mode === "shape" ? ", " : ""}${isLog && mode !== "shape" ? "" : times}`;
}

// The same of a difference, whose values are in what its two maps are compared in.
export function differenceUnder(map, x, y, { quantity, unit, name, mode }) {
  const { value, place } = at(map, x, y);
  const isShape = map.scale.kind !== "log" || mode === "shape";
  return `${place}: ${name}, ${isShape ? "" : `${quantity} `}${value > 0 ? "+" : ""}${rounded(value)}${isShape ? " times a map's own mean" : unit && ` ${unit}`}`;
}

function at(map, x, y) {
  const [column, row] = [clipped(x, map.width), clipped(y, map.height)];
  const zero = map.scale.signed ? 128 : 0;
  const value = ((map.codes[row * map.width + column] - zero) / (255 - zero)) * map.maximum;
  return { value, place: `row ${row + 1} of ${map.height}, column ${column + 1} of ${map.width}` };
}

function clipped(share, cells) {
  return Math.min(cells - 1, Math.max(0, Math.floor(share * cells)));
}

function rounded(value) {
  return String(Number(value.toPrecision(3))).replace("-", "−");
}
