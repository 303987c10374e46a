// What is known of one map beside its codes: its magnitude, where half of it lies, and whether there is anything to see.

export function mapOf(part, index, codes) {
  const zero = part.scale.signed ? 128 : 0;
  const maximum = part.maximum[index];
  const counts = new Uint32Array(256); // of cells, by their distance from nothing
  for (let at = 0; at < codes.length; at += 1) counts[Math.abs(codes[at] - zero)] += 1;
  const sum = counts.reduce((total, count, level) => total + count * level, 0);
  return {
    codes, height: part.size[0], width: part.size[1], scale: part.scale, area: part.area, maximum, mean: part.mean[index],
    magnitude: ((sum / codes.length) * (maximum || 0)) / (255 - zero), half: maximum === null ? null : halfOf(counts, sum, codes.length),
    state: stateOf(codes, maximum),
  };
}

// The smallest share of the image that holds half of the map.
function halfOf(counts, sum, all) {
  let [cells, mass] = [0, 0];
  for (let level = 255; level > 0; level -= 1) {
    const [more, weight] = [counts[level], counts[level] * level];
    if (weight && mass + weight >= sum / 2) return (cells + (sum / 2 - mass) / level) / all;
    cells += more;
    mass += weight;
  }
  return null;
}

function stateOf(codes, maximum) {
  if (maximum === null) return "not finite";
  if (maximum <= 1e-10) return "empty";
  return codes.every((code) => code === codes[0]) ? "constant" : "";
}
