// Stored pictures to pixels on canvases. What is decoded is kept for a while, so that a film plays without a hitch.

import { kept } from "./cache.js";
import { mixture, mixturesOf, placesOfStrength } from "./colours.js";
import { mapOf } from "./maps.js";
import { blend, borderOf, dim } from "./pixels.js";
import { codesOf, drawTile, load, scratch } from "./sprites.js";

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
    return kept(this.sprites, MOST_SPRITES, part.key, () => load(this.source.picture(part.key)).then((picture) => {
      this.sprites.set(part.key, picture);
      return picture;
    }));
  }

  ready(parts) {
    return Promise.all(parts.map((part) => this.sprite(part)));
  }

  // The maps of one part: codes at their own resolution and the numbers beside them. Null until the sprite is there.
  maps(part) {
    if (!part) return null;
    if (!this.tiles.has(part.key) && !(this.sprite(part) instanceof HTMLImageElement)) return null;
    const codes = (index) => codesOf(this.sprite(part), part.size, index, this.constants.spriteColumns);
    return kept(this.tiles, MOST_SPRITES, part.key, () => part.maximum.map((_, index) => mapOf(part, index, codes(index))));
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

  // Paints what a view shows of an image, be it a map over its photo or a finished picture.
  paintView(canvas, shown) {
    if (shown.part.maximum) return this.paintMap(canvas, shown);
    return this.paintPicture(canvas, shown.part, shown.index, shown.settings.outline ? shown.masks : null);
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

  strengths(name, map, settings) {
    return kept(this.tables, MOST_TABLES, [name, settings.mode, settings.gain].join(), () => placesOfStrength(map, settings, this.constants));
  }

  mixtures(scale, settings) {
    const name = [scale.kind, scale.signed, settings.opacity, settings.photo === "spotlight", settings.palette].join();
    return kept(this.tables, MOST_TABLES, name, () => mixturesOf(scale, settings, this.constants));
  }

  base(inputs, index, width, height, photo) {
    const name = `${inputs?.key}/${index}/${width}x${height}/${photo}`;
    if (!this.bases.has(name) && inputs && !(this.sprite(inputs) instanceof HTMLImageElement)) return null;
    return kept(this.bases, MOST_BASES, name, () => (inputs ? this.readBase(inputs, index, width, height, photo)
      : new Uint8ClampedArray(width * height * 4).fill(24)));
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
    const sprite = this.sprite(masks);
    if (!(sprite instanceof HTMLImageElement)) return false;
    const name = `${masks.key}/${index}/${pixels.width}x${pixels.height}/outline`;
    const { inner, outer } = kept(this.bases, MOST_BASES, name, () => {
      const codes = codesOf(sprite, masks.size, index, this.constants.spriteColumns);
      const thick = Math.max(1, Math.round((window.devicePixelRatio || 1) * 0.75));
      return borderOf(codes, masks.size, pixels.width, pixels.height, thick);
    });
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
