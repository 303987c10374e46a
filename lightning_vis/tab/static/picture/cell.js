// The states of a cell: its picture is shown, on its way, could not be had, or was never taken. What is not shown is said in its place.

const SAID = { loading: "loading …", failed: "could not be had", missing: "not looked at", unlike: "cannot be compared" };

// A cell has a canvas and a place for words over it. The picture of another moment never stays below this one's words.
export function mark(cell, state, detail = "") {
  if (cell.canvas.dataset.state === state && state !== "shown" && cell.state.textContent === (detail || SAID[state])) return;
  cell.canvas.dataset.state = state;
  if (state === "shown") cell.state.textContent = detail;
  else {
    cell.canvas.getContext("2d").clearRect(0, 0, cell.canvas.width, cell.canvas.height);
    cell.state.textContent = detail || SAID[state];
  }
}

// Draws the same into a part of a strip.
export function drawState(context, state, { x, width, height }) {
  context.clearRect(x, 0, width, height);
  if (state === "shown") return;
  context.fillStyle = "#7f848c40";
  context.fillRect(x, 0, width, height);
  context.fillStyle = "#8d929a";
  context.font = `${Math.max(9, Math.min(11, width / 8))}px system-ui, sans-serif`;
  context.textAlign = "center";
  const words = state === "failed" ? ["could not", "be had"] : [{ loading: "loading …", missing: "no look", mapless: "no map" }[state]];
  words.forEach((word, at) => context.fillText(word, x + width / 2, height / 2 + 13 * at));
  context.textAlign = "left";
}
