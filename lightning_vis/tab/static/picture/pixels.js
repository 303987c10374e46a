// Arithmetic of pixels: a map over a photo, an object's outline. Nothing here knows of canvases or of where things come from.

import { kept } from "./cache.js";
import { STEPS } from "./colours.js";

// Bilinear in the codes, which is bilinear in the values; then each pixel's mixture with the photo from the table.
export function blend(pixels, base, map, strengths, mixtures) {
  const { width, height } = pixels;
  const { low, high, part: beside } = placesOf(map.width, width);
  const down = placesOf(map.height, height);
  const row = new Float32Array(map.width);
  const whole = new Uint32Array(pixels.data.buffer); // red, green, blue and opacity of a pixel at once
  let at = 0;
  for (let y = 0; y < height; y += 1) {
    const [above, below, part] = [down.low[y] * map.width, down.high[y] * map.width, down.part[y]];
    for (let x = 0; x < map.width; x += 1) row[x] = map.codes[above + x] * (1 - part) + map.codes[below + x] * part;
    for (let x = 0; x < width; x += 1) {
      const left = row[low[x]];
      const entry = strengths[((left + (row[high[x]] - left) * beside[x]) * STEPS + 0.5) | 0];
      const keep = mixtures[entry + 3];
      const red = (base[at] * keep + mixtures[entry] + 0.5) | 0;
      const green = (base[at + 1] * keep + mixtures[entry + 1] + 0.5) | 0;
      const blue = (base[at + 2] * keep + mixtures[entry + 2] + 0.5) | 0;
      whole[at >> 2] = -16777216 | (blue << 16) | (green << 8) | red;
      at += 4;
    }
  }
}

const places = new Map();

function placesOf(cells, size) {
  return kept(places, 64, `${cells}/${size}`, () => {
    const [low, high, part] = [new Uint16Array(size), new Uint16Array(size), new Float32Array(size)];
    for (let at = 0; at < size; at += 1) {
      const position = Math.min(cells - 1, Math.max(0, ((at + 0.5) * cells) / size - 0.5));
      low[at] = Math.floor(position);
      high[at] = Math.min(cells - 1, low[at] + 1);
      part[at] = position - low[at];
    }
    return { low, high, part };
  });
}

// The edge of where a mask passes one half: the places of a line, and those of a wider one below it.
export function borderOf(codes, [rows, columns], width, height, thick) {
  const across = placesOf(columns, width);
  const down = placesOf(rows, height);
  const inside = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const cell = (row, column) => codes[row * columns + column];
      const top = cell(down.low[y], across.low[x]) * (1 - across.part[x]) + cell(down.low[y], across.high[x]) * across.part[x];
      const bottom = cell(down.high[y], across.low[x]) * (1 - across.part[x]) + cell(down.high[y], across.high[x]) * across.part[x];
      inside[y * width + x] = top * (1 - down.part[y]) + bottom * down.part[y] >= 128 ? 1 : 0;
    }
  }
  return { inner: edgeOf(inside, width, height, thick), outer: edgeOf(inside, width, height, 2 * thick) };
}

function edgeOf(inside, width, height, thick) {
  const edge = [];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const own = inside[y * width + x];
      const differs = (dx, dy) => {
        const [column, row] = [x + dx, y + dy];
        return column >= 0 && row >= 0 && column < width && row < height && inside[row * width + column] !== own;
      };
      if (differs(thick, 0) || differs(-thick, 0) || differs(0, thick) || differs(0, -thick)) edge.push(y * width + x);
    }
  }
  return edge;
}

export function dim(data, brightness, isGrey) {
  for (let at = 0; at < data.length; at += 4) {
    if (isGrey) data[at] = data[at + 1] = data[at + 2] = (0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]) * brightness;
    else for (let channel = 0; channel < 3; channel += 1) data[at + channel] *= 0.2 + brightness;
  }
}
