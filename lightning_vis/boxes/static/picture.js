// Pictures of a pool: a tile with the outline of its cut and its box, at any size.

const COLUMNS = 8;

function loaded(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error(`${address} could not be loaded`));
    image.src = address;
  });
}

// Sheets by pool, each asked for once.
export async function sheetsOf(pools) {
  const pairs = await Promise.all(pools.map(async (pool) => [pool, await Promise.all([loaded(`pictures/${pool}`), loaded(`cuts/${pool}`)])]));
  return new Map(pairs);
}

// Where a tile lies in its sheet.
function corner({ place, size: [height, width] }) {
  return [width * (place % COLUMNS), height * Math.floor(place / COLUMNS)];
}

// Whether each pixel of a tile lies in the cut.
function cutOf(sheet, image) {
  const [height, width] = image.size;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(sheet, ...corner(image), width, height, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return (x, y) => x >= 0 && y >= 0 && x < width && y < height && data[4 * (y * width + x)] > 127;
}

// The edges between what lies in the cut and what does not, in pixels of the tile.
export function outline(isIn, [height, width]) {
  const lines = [];
  for (let y = 0; y <= height; y += 1) {
    for (let x = 0; x <= width; x += 1) {
      if (isIn(x, y) !== isIn(x - 1, y)) lines.push([x, y, x, y + 1]);
      if (isIn(x, y) !== isIn(x, y - 1)) lines.push([x, y, x + 1, y]);
    }
  }
  return lines;
}

const paths = new WeakMap();

function pathOf(sheet, image) {
  if (!paths.has(image)) {
    const path = new Path2D();
    for (const [x, y, toX, toY] of outline(cutOf(sheet, image), image.size)) {
      path.moveTo(x, y);
      path.lineTo(toX, toY);
    }
    paths.set(image, path);
  }
  return paths.get(image);
}

function stroked(context, path, colour, width) {
  for (const [ink, line] of [["#000000b0", width + 2], [colour, width]]) {
    context.strokeStyle = ink;
    context.lineWidth = line;
    context.stroke(path);
  }
}

// Draws an image with its cut, where nothing stands in its place, and a box.
export function paint(canvas, [pictures, cuts], image, box, side) {
  const [height, width] = image.size;
  const scale = side / Math.max(height, width);
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  const context = canvas.getContext("2d");
  context.drawImage(pictures, ...corner(image), width, height, 0, 0, canvas.width, canvas.height);
  const thin = Math.max(2, side / 260);
  const path = new Path2D();
  path.addPath(pathOf(cuts, image), new DOMMatrix([scale, 0, 0, scale, 0, 0]));
  stroked(context, path, box ? "#ffffff70" : "#ffffff", thin);
  if (!box) return;
  const frame = new Path2D();
  const [left, top, right, bottom] = box;
  frame.rect(left * canvas.width, top * canvas.height, (right - left) * canvas.width, (bottom - top) * canvas.height);
  stroked(context, frame, "#ff8f3d", 2 * thin);
}
