// A picture to keep: the panels of a cell with their captions, what they are of, and the legend.

import { ticksOf } from "../picture/colours.js";

const [GAP, LINE, BAR, TALL] = [16, 20, 300, 50];
const [INK, QUIET, GROUND] = ["#202124", "#5f6368", "#ffffff"];

export function keep({ name, ...shown }) {
  const sheet = sheetOf(shown);
  sheet.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = fileNameOf(name);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}

const MOST = 80; // letters, of which each may take three bytes of the 255 that a name has

// Letters, digits and marks that every file system takes; none of them are hidden by a dot in front.
export function fileNameOf(words) {
  const sound = words.map((each) => each.normalize("NFC").replace(/[^\p{L}\p{N}.-]+/gu, "_").replace(/^[_.]+|[_.]+$/g, ""));
  const rest = sound.slice(1).join("_");
  return `${[...sound[0]].slice(0, Math.max(8, MOST - rest.length)).join("")}_${rest}.png`;
}

export function sheetOf({ title, panels, reading, legends }) {
  const sheet = document.createElement("canvas");
  const context = sheet.getContext("2d");
  const shown = panels.map(({ canvas, words, signs, state }) => ({ canvas, text: [words.textContent, signs.textContent, state.textContent].filter(Boolean).join(" · ") }));
  const width = Math.max(480, shown.reduce((sum, { canvas }) => sum + canvas.width + GAP, GAP));
  const tall = Math.max(...shown.map(({ canvas }) => canvas.height));
  context.font = "13px sans-serif";
  const captions = shown.map(({ canvas, text }) => wrapped(context, text, canvas.width));
  const lines = Math.max(...captions.map((each) => each.length));
  const below = wrapped(context, reading, width - 2 * GAP);
  [sheet.width, sheet.height] = [width, GAP + LINE + tall + LINE * (lines + below.length + 1) + TALL * legends.length + GAP];
  context.fillStyle = GROUND;
  context.fillRect(0, 0, sheet.width, sheet.height);
  write(context, [title], GAP, GAP + 10, `bold 14px sans-serif`, INK);
  let x = GAP;
  shown.forEach(({ canvas }, at) => {
    context.drawImage(canvas, x, GAP + LINE);
    write(context, captions[at], x, GAP + 2 * LINE + tall, "13px sans-serif", INK);
    x += canvas.width + GAP;
  });
  const y = GAP + LINE * (lines + 2) + tall;
  legends.forEach((legend, at) => drawLegend(context, legend, y + at * TALL));
  write(context, below, GAP, y + (TALL * legends.length || 10), "13px sans-serif", QUIET);
  return sheet;
}

function drawLegend(context, { scale, settings, painter, name }, y) {
  const bar = document.createElement("canvas");
  [bar.width, bar.height] = [BAR, 12];
  painter.paintLegend(bar, scale, settings);
  context.drawImage(bar, GAP + 20, y);
  context.textAlign = "center";
  for (const { value, at } of ticksOf(scale, settings, painter.constants)) {
    write(context, [String(Number(value.toPrecision(2))).replace("-", "−")], GAP + 20 + at * BAR, y + 26, "11px sans-serif", QUIET);
  }
  context.textAlign = "left";
  write(context, [name], GAP + BAR + 48, y + 11, "13px sans-serif", QUIET);
}

function write(context, lines, x, y, font, colour) {
  [context.font, context.fillStyle] = [font, colour];
  lines.forEach((line, at) => context.fillText(line, x, y + at * LINE));
}

function wrapped(context, text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines[lines.length - 1]} ${word}`.trim();
    if (context.measureText(longer).width <= width || !lines[lines.length - 1]) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
