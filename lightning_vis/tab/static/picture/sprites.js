// Stored pictures, of which each holds many tiles side by side: loading them, cutting tiles out, reading codes.

const MOST_PIXELS = 64e6; // of one stored picture, whatever is said of it

// A picture that has the tiles that its part speaks of. It is measured before it is decoded: a small file may be an enormous picture.
export async function load(address, needed) {
  const picture = new Image();
  await new Promise((done, fail) => {
    picture.onload = done;
    picture.onerror = () => fail(new Error("it did not come"));
    picture.src = address;
  });
  const { naturalWidth: width, naturalHeight: height } = picture;
  if (width < needed.width || height < needed.height) throw new Error("it is smaller than what is said of it");
  if (width > needed.widest || height > needed.tallest || width * height > MOST_PIXELS) throw new Error("it is larger than what is said of it");
  await picture.decode();
  return picture;
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

const scratches = new Map();

export function scratch(purpose, width, height) {
  if (!scratches.has(purpose)) scratches.set(purpose, document.createElement("canvas"));
  const canvas = scratches.get(purpose);
  [canvas.width, canvas.height] = [width, height];
  return canvas.getContext("2d", { willReadFrequently: true });
}
