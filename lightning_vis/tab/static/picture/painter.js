// Stored pictures to pixels on canvases. What is decoded is kept for a while, so that a film plays without a hitch.

import { Budget, kept } from "./cache.js";
import { mixture, mixturesOf, placesOfStrength } from "./colours.js";
import { mapOf } from "./maps.js";
import { differenceOf, unlikeOf } from "./difference.js";
import { blend, borderOf, dim } from "./pixels.js";
import { allCodes, codesOf, drawTile, scratch } from "./sprites.js";
import { Store } from "./store.js";

const [MOST_TABLES, MOST_SHEETS] = [2000, 4];
const [CODES, BASES] = [96e6, 64e6]; // bytes

export class Painter {
  constructor(source, constants, onNews) {
    this.constants = constants;
    this.store = new Store(source, constants.spriteColumns, onNews);
    this.tiles = new Budget(CODES); // key -> tiles of codes with what is known of each
    this.bases = new Budget(BASES); // photo at a size -> pixels; object at a size -> its border
    this.sheets = new Map(); // size -> pixels that are written over, tile after tile
    this.tables = new Map(); // map and scale -> the strength of each code; scale and colours -> the mixture of each strength
  }

  // The picture, or null while it is not there.
  sprite(part) {
    return (part && this.store.entry(part).picture) || null;
  }

  // Of several pictures: "failed" if one of them could not be had, else "loading" if one is on its way, else "shown".
  stateOf(parts) {
    const states = parts.filter(Boolean).map((part) => this.store.entry(part).state);
    return ["failed", "loading"].find((state) => states.includes(state)) || "shown";
  }

  reasonOf(parts) {
    return parts.filter(Boolean).map((part) => this.store.entry(part)).find(({ state }) => state === "failed")?.reason || "";
  }

  // Until all of them are there, or could not be had.
  ready(parts) {
    return Promise.all(parts.filter(Boolean).map((part) => this.store.entry(part).settled));
  }

  // The maps of one part: codes at their own resolution and the numbers beside them. Null until the sprite is there.
  maps(part) {
    if (!part?.maximum || part.broken) return null;
    const known = this.tiles.get(part.key);
    const sprite = known || this.sprite(part);
    if (known || !sprite) return known || null;
    const make = () => allCodes(sprite, part.size, part.maximum.length, this.constants.spriteColumns).map((codes, index) => mapOf(part, index, codes));
    return this.tiles.kept(part.key, make, (maps) => maps.length * part.size[0] * part.size[1]);
  }

  // Paints one map over its photo. Returns false while something is still on its way.
  paintMap(canvas, { inputs, part, index, masks, settings }) {
    return this.paintOver(canvas, `${part.key}/${index}`, this.maps(part)?.[index], { inputs, index, masks, settings });
  }

  // The difference of an image's maps in two parts; null while they are not there, or cannot be compared.
  difference({ part, minus, index, settings }) {
    if (unlikeOf(part, minus, index)) return null;
    const [one, other] = [part, minus].map((each) => this.maps(each)?.[index]);
    if (!one || !other) return null;
    const name = `${part.key}/${minus.key}/${index}/${settings.mode}`;
    return this.tiles.kept(name, () => differenceOf(one, other, settings.mode), (map) => map.codes.length);
  }

  paintDifference(canvas, { inputs, part, minus, index, masks, settings }) {
    const name = `${part.key}/${minus.key}/${index}`;
    return this.paintOver(canvas, name, this.difference({ part, minus, index, settings }), { inputs, index, masks, settings });
  }

  paintOver(canvas, name, map, { inputs, index, masks, settings }) {
    const base = this.base(inputs, index, canvas.width, canvas.height, settings.photo);
    if (!map || !base) return false;
    const context = canvas.getContext("2d");
    const pixels = kept(this.sheets, MOST_SHEETS, `${canvas.width}x${canvas.height}`, () => context.createImageData(canvas.width, canvas.height));
    blend(pixels, base, map, this.strengths(name, map, settings), this.mixtures(map.scale, settings));
    if (settings.outline && masks && !this.outline(pixels, masks, index)) return false;
    context.putImageData(pixels, 0, 0);
    return true;
  }

  // Paints what a view shows of an image, be it a map over its photo or a finished picture.
  paintView(canvas, shown) {
    if (shown.part.maximum) return this.paintMap(canvas, shown);
    return this.paintPicture(canvas, shown.part, shown.index, shown.settings.outline ? shown.masks : null);
  }

  // Paints one tile of a sprite as it is.
  paintPicture(canvas, part, index, masks = null) {
    const sprite = this.sprite(part);
    if (!sprite || !(index < (part.count ?? Infinity))) return false;
    const context = canvas.getContext("2d", { willReadFrequently: Boolean(masks) });
    drawTile(context, sprite, part.size, index, this.constants.spriteColumns, canvas.width, canvas.height);
    if (!masks) return true;
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    const done = this.outline(pixels, masks, index);
    context.putImageData(pixels, 0, 0);
    return done;
  }

  strengths(name, map, settings) {
    return kept(this.tables, MOST_TABLES, [name, settings.mode, settings.gain].join(), () => placesOfStrength(map, settings, this.constants));
  }

  mixtures(scale, settings) {
    const name = [scale.kind, scale.signed, settings.opacity, settings.photo === "spotlight", settings.palette].join();
    return kept(this.tables, MOST_TABLES, name, () => mixturesOf(scale, settings, this.constants));
  }

  base(inputs, index, width, height, photo) {
    const name = `${inputs?.key}/${index}/${width}x${height}/${photo}`;
    if (inputs && !this.bases.get(name) && !this.sprite(inputs)) return null;
    return this.bases.kept(name, () => (inputs ? this.readBase(inputs, index, width, height, photo)
      : new Uint8ClampedArray(width * height * 4).fill(24)), (pixels) => pixels.length);
  }

  readBase(inputs, index, width, height, photo) {
    const sprite = this.sprite(inputs);
    const context = scratch("base", width, height);
    drawTile(context, sprite, inputs.size, index, this.constants.spriteColumns, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    if (photo !== "spotlight") dim(data, this.constants.dim, photo === "grey");
    return data;
  }

  // Draws the object's outline, white on a dark line, where the mask passes one half.
  outline(pixels, masks, index) {
    const name = `${masks.key}/${index}/${pixels.width}x${pixels.height}/outline`;
    const sprite = this.sprite(masks);
    if (!sprite && !this.bases.get(name)) return false;
    const { inner, outer } = this.bases.kept(name, () => {
      const codes = codesOf(sprite, masks.size, index, this.constants.spriteColumns);
      const thick = Math.max(1, Math.round((window.devicePixelRatio || 1) * 0.75));
      return borderOf(codes, masks.size, pixels.width, pixels.height, thick);
    }, (border) => 8 * (border.inner.length + border.outer.length));
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
