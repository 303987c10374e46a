// Stored pictures, of which each holds many tiles side by side: loading them, cutting tiles out, reading codes.

import { sizeOf } from "./file_size.js";

const MOST_PIXELS = 64e6; // of one stored picture, whatever is said of it

// A picture that has the tiles that its part speaks of, of bytes that are on their way. It is measured before it is decoded: a small file
// may be an enormous picture. It is decoded beside the page's thread, and held by nobody but the page: of what is drawn from an <img>
// browsers keep a copy of their own, and decode it when it is drawn.
export async function load(coming, needed) {
  const bytes = await coming;
  const { width, height } = sizeOf(bytes);
  if (width < needed.width || height < needed.height) throw new Error("it is smaller than what is said of it");
  if (width > needed.widest || height > needed.tallest || width * height > MOST_PIXELS) throw new Error("it is larger than what is said of it");
  return createImageBitmap(new Blob([bytes])).catch(() => { throw new Error("it cannot be read"); });
}

// A tile is cut out before it is enlarged: smoothing would let its neighbours in the sprite shine in at the edges.
export function drawTile(context, sprite, size, index, columns, width, height) {
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

export function codesOf(sprite, size, index, columns) {
  const { data } = cutOut(sprite, size, index, columns).getImageData(0, 0, size[1], size[0]);
  return Uint8Array.from({ length: size[0] * size[1] }, (_, at) => data[at * 4]);
}

// Those of all tiles of a sprite, which is read once for all of them.
export function allCodes(sprite, [height, width], count, columns) {
  const across = width * Math.min(columns, count);
  const context = scratch("sheet", across, height * Math.ceil(count / columns));
  context.drawImage(sprite, 0, 0);
  const { data } = context.getImageData(0, 0, context.canvas.width, context.canvas.height);
  return [...Array(count).keys()].map((index) => {
    const codes = new Uint8Array(height * width);
    const corner = Math.floor(index / columns) * height * across + (index % columns) * width;
    for (let row = 0, at = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1, at += 1) codes[at] = data[4 * (corner + row * across + column)];
    }
    return codes;
  });
}

const scratches = new Map();

export function scratch(purpose, width, height) {
  if (!scratches.has(purpose)) scratches.set(purpose, document.createElement("canvas"));
  const canvas = scratches.get(purpose);
  if (canvas.width === width && canvas.height === height) canvas.getContext("2d").clearRect(0, 0, width, height);
  else [canvas.width, canvas.height] = [width, height];
  return canvas.getContext("2d", { willReadFrequently: true });
}
