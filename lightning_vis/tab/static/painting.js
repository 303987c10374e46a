// Stored pictures to pixels on canvases. What is decoded is kept for a while, so that a film plays without a hitch.

import { STEPS, mixture, mixturesOf, placesOfStrength } from "./colours.js";

const MOST_SPRITES = 600;
const MOST_BASES = 800;
const MOST_TABLES = 2000;

export class Painter {
  constructor(source, constants) {
    this.source = source;
    this.constants = constants;
    this.sprites = new Map(); // key -> promise of a picture, or the picture
    this.tiles = new Map(); // key -> tiles of codes with what is known of each
    this.bases = new Map(); // photo at a size -> pixels
    this.tables = new Map(); // map and scale -> the strength of each code; scale and colours -> the mixture of each strength
  }

  // A promise until the picture is there, then the picture itself; null if it cannot be had.
  sprite(part) {
    if (!part) return null;
    if (!this.sprites.has(part.key)) {
      forgetOldest(this.sprites, MOST_SPRITES);
      const loading = load(this.source.picture(part.key)).then((picture) => {
        this.sprites.set(part.key, picture);
        return picture;
      });
      this.sprites.set(part.key, loading);
    }
    return this.sprites.get(part.key);
  }

  ready(parts) {
    return Promise.all(parts.map((part) => this.sprite(part)));
  }

  // The maps of one part: codes at their own resolution and the numbers beside them. Null until the sprite is there.
  maps(part) {
    if (!part) return null;
    if (this.tiles.has(part.key)) return this.tiles.get(part.key);
    const sprite = this.sprite(part);
    if (!(sprite instanceof HTMLImageElement)) return null;
    forgetOldest(this.tiles, MOST_SPRITES);
    const maps = part.maximum.map((_, index) => mapOf(part, index, codesOf(sprite, part.size, index, this.constants.spriteColumns)));
    this.tiles.set(part.key, maps);
    return maps;
  }

  // Paints one map over its photo. Returns false while something is still on its way.
  paintMap(canvas, { inputs, part, index, masks, settings }) {
    const maps = this.maps(part);
    const base = this.base(inputs, index, canvas.width, canvas.height, settings.photo);
    if (!maps || !base) return false;
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(canvas.width, canvas.height);
    const map = maps[index];
    if (map) blend(pixels, base, map, this.strengths(`${part.key}/${index}`, map, settings), this.mixtures(map.scale, settings));
    else pixels.data.set(base);
    if (settings.outline && masks && !this.outline(pixels, masks, index)) return false;
    context.putImageData(pixels, 0, 0);
    return true;
  }

  // Paints one tile of a sprite as it is.
  paintPicture(canvas, part, index, masks = null) {
    const sprite = this.sprite(part);
    if (!(sprite instanceof HTMLImageElement)) return false;
    const context = canvas.getContext("2d", { willReadFrequently: Boolean(masks) });
    drawTile(context, sprite, part.size, index, this.constants.spriteColumns, canvas.width, canvas.height);
    if (!masks) return true;
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    const done = this.outline(pixels, masks, index);
    context.putImageData(pixels, 0, 0);
    return done;
  }

  kept(name, make) {
    if (!this.tables.has(name)) {
      forgetOldest(this.tables, MOST_TABLES);
      this.tables.set(name, make());
    }
    return this.tables.get(name);
  }

  strengths(name, map, settings) {
    return this.kept([name, settings.mode, settings.gain].join(), () => placesOfStrength(map, settings, this.constants));
  }

  mixtures(scale, settings) {
    const name = [scale.kind, scale.signed, settings.opacity, settings.photo === "spotlight", settings.palette].join();
    return this.kept(name, () => mixturesOf(scale, settings, this.constants));
  }

  base(inputs, index, width, height, photo) {
    const name = `${inputs?.key}/${index}/${width}x${height}/${photo}`;
    if (this.bases.has(name)) return this.bases.get(name);
    const base = inputs ? this.readBase(inputs, index, width, height, photo) : new Uint8ClampedArray(width * height * 4).fill(24);
    if (base) {
      forgetOldest(this.bases, MOST_BASES);
      this.bases.set(name, base);
    }
    return base;
  }

  readBase(inputs, index, width, height, photo) {
    const sprite = this.sprite(inputs);
    if (!(sprite instanceof HTMLImageElement)) return null;
    const context = scratch("base", width, height);
    drawTile(context, sprite, inputs.size, index, this.constants.spriteColumns, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    if (photo !== "spotlight") dim(data, this.constants.dim, photo === "grey");
    return data;
  }

  // Draws the object's outline, white on a dark line, where the mask passes one half.
  outline(pixels, masks, index) {
    const sprite = this.sprite(masks);
    if (!(sprite instanceof HTMLImageElement)) return false;
    const name = `${masks.key}/${index}/${pixels.width}x${pixels.height}/outline`;
    if (!this.bases.has(name)) {
      forgetOldest(this.bases, MOST_BASES);
      const codes = codesOf(sprite, masks.size, index, this.constants.spriteColumns);
      this.bases.set(name, borderOf(codes, masks.size, pixels.width, pixels.height));
    }
    const { inner, outer } = this.bases.get(name);
    for (const at of outer) pixels.data.set([0, 0, 0, 255], at * 4);
    for (const at of inner) pixels.data.set([255, 255, 255, 255], at * 4);
    return true;
  }

  // A legend's bar: the colours of a scale from one end to the other, over a grey as dark as a dimmed photo.
  paintLegend(canvas, scale, settings) {
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(canvas.width, canvas.height);
    const photo = scale.kind === "log" ? 110 * this.constants.dim : 0;
    for (let x = 0; x < canvas.width; x += 1) {
      const share = x / (canvas.width - 1);
      const [red, green, blue, keep] = mixture(scale.signed ? 2 * share - 1 : share, scale, settings, this.constants);
      const below = settings.photo === "spotlight" ? 200 : photo;
      for (let y = 0; y < canvas.height; y += 1) {
        pixels.data.set([red + below * keep, green + below * keep, blue + below * keep, 255], (y * canvas.width + x) * 4);
      }
    }
    context.putImageData(pixels, 0, 0);
  }
}

function mapOf(part, index, codes) {
  const zero = part.scale.signed ? 128 : 0;
  const maximum = part.maximum[index];
  const magnitudes = codes.map((code) => Math.abs(code - zero));
  const sum = magnitudes.reduce((total, each) => total + each, 0);
  return {
    codes, height: part.size[0], width: part.size[1], scale: part.scale, area: part.area, maximum, mean: part.mean[index],
    magnitude: ((sum / codes.length) * (maximum || 0)) / (255 - zero), half: halfOf(magnitudes, sum),
    state: stateOf(codes, maximum),
  };
}

// The smallest share of the image that holds half of the map.
function halfOf(magnitudes, sum) {
  const counts = new Uint32Array(256);
  for (const each of magnitudes) counts[each] += 1;
  let [cells, mass] = [0, 0];
  for (let level = 255; level > 0; level -= 1) {
    const [more, weight] = [counts[level], counts[level] * level];
    if (weight && mass + weight >= sum / 2) return (cells + (sum / 2 - mass) / level) / magnitudes.length;
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

// Bilinear in the codes, which is bilinear in the values; then each pixel's mixture with the photo from the table.
function blend(pixels, base, map, strengths, mixtures) {
  const { width, height, data } = pixels;
  const across = placesOf(map.width, width);
  const down = placesOf(map.height, height);
  const row = new Float32Array(map.width);
  let at = 0;
  for (let y = 0; y < height; y += 1) {
    const [above, below, part] = [down.low[y] * map.width, down.high[y] * map.width, down.part[y]];
    for (let x = 0; x < map.width; x += 1) row[x] = map.codes[above + x] * (1 - part) + map.codes[below + x] * part;
    for (let x = 0; x < width; x += 1) {
      const left = row[across.low[x]];
      const entry = strengths[Math.round((left + (row[across.high[x]] - left) * across.part[x]) * STEPS)];
      const keep = mixtures[entry + 3];
      data[at] = base[at] * keep + mixtures[entry];
      data[at + 1] = base[at + 1] * keep + mixtures[entry + 1];
      data[at + 2] = base[at + 2] * keep + mixtures[entry + 2];
      data[at + 3] = 255;
      at += 4;
    }
  }
}

const places = new Map();

function placesOf(cells, size) {
  const name = `${cells}/${size}`;
  if (!places.has(name)) {
    forgetOldest(places, 64);
    const [low, high, part] = [new Uint16Array(size), new Uint16Array(size), new Float32Array(size)];
    for (let at = 0; at < size; at += 1) {
      const position = Math.min(cells - 1, Math.max(0, ((at + 0.5) * cells) / size - 0.5));
      low[at] = Math.floor(position);
      high[at] = Math.min(cells - 1, low[at] + 1);
      part[at] = position - low[at];
    }
    places.set(name, { low, high, part });
  }
  return places.get(name);
}

function borderOf(codes, [rows, columns], width, height) {
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
  const thick = Math.max(1, Math.round((window.devicePixelRatio || 1) * 0.75));
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

function dim(data, brightness, isGrey) {
  for (let at = 0; at < data.length; at += 4) {
    if (isGrey) data[at] = data[at + 1] = data[at + 2] = (0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]) * brightness;
    else for (let channel = 0; channel < 3; channel += 1) data[at + channel] *= 0.2 + brightness;
  }
}

// A tile is cut out before it is enlarged: smoothing would let its neighbours in the sprite shine in at the edges.
function drawTile(context, sprite, size, index, columns, width, height) {
  const cut = cutOut(sprite, size, index, columns);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(cut.canvas, 0, 0, width, height);
}

function cutOut(sprite, [height, width], index, columns) {
  const context = scratch("tile", width, height);
  context.imageSmoothingEnabled = false;
  context.drawImage(sprite, (index % columns) * width, Math.floor(index / columns) * height, width, height, 0, 0, width, height);
  return context;
}

function codesOf(sprite, size, index, columns) {
  const { data } = cutOut(sprite, size, index, columns).getImageData(0, 0, size[1], size[0]);
  return Uint8Array.from({ length: size[0] * size[1] }, (_, at) => data[at * 4]);
}

const scratches = new Map();

function scratch(purpose, width, height) {
  if (!scratches.has(purpose)) scratches.set(purpose, document.createElement("canvas"));
  const canvas = scratches.get(purpose);
  [canvas.width, canvas.height] = [width, height];
  return canvas.getContext("2d", { willReadFrequently: true });
}

async function load(address) {
  const picture = new Image();
  picture.src = address;
  try {
    await picture.decode();
    return picture;
  } catch {
    return null;
  }
}

function forgetOldest(cache, limit) {
  if (cache.size >= limit) cache.delete(cache.keys().next().value);
}
