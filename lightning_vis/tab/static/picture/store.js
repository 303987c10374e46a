// Stored pictures by their keys, each in a state: loading, shown, failed. What failed is asked for again by itself, while somebody looks.

import { Budget } from "./cache.js";
import { load } from "./sprites.js";

const HELD = 64e6; // bytes of decoded pictures
const [FIRST, LAST] = [1000, 30000]; // milliseconds until a picture that could not be had is asked for again

export class Store {
  constructor(source, columns, onNews) {
    Object.assign(this, { source, columns, onNews });
    this.entries = new Map(); // key -> { state, picture, reason, wait, due, settled }
    this.budget = new Budget(HELD, (key) => this.leave(key));
  }

  // What is known of a part's picture; asking for it here is what loads it, and loads it again when the time has come.
  entry(part) {
    if (part.broken) return { state: "failed", reason: part.broken, settled: Promise.resolve() };
    this.budget.get(part.key);
    if (!this.entries.has(part.key)) this.ask(part, { state: "loading", wait: FIRST });
    const entry = this.entries.get(part.key);
    if (entry.state === "failed" && performance.now() >= entry.due) this.ask(part, { ...entry, due: Infinity });
    return this.entries.get(part.key);
  }

  ask(part, entry) {
    const asked = { ...entry };
    this.entries.set(part.key, asked);
    asked.settled = load(this.source.picture(part.key), neededOf(part, this.columns)).then(
      (picture) => this.settle(part.key, asked, { state: "shown", picture }),
      (error) => this.settle(part.key, asked, this.failure(asked, error)),
    );
  }

  failure({ wait }, error) {
    setTimeout(this.onNews, wait + 50);
    return { state: "failed", reason: error.message, due: performance.now() + wait, wait: Math.min(LAST, 2 * wait) };
  }

  settle(key, asked, outcome) {
    if (this.entries.get(key) !== asked) return outcome.picture?.close(); // asked for anew since then
    Object.assign(asked, outcome);
    if (outcome.picture) this.budget.set(key, true, 4 * outcome.picture.width * outcome.picture.height);
    return this.onNews();
  }

  // Its memory is free at once, not when the browser comes to it.
  leave(key) {
    this.entries.get(key)?.picture?.close();
    this.entries.delete(key);
  }

  // Asks at once for all that could not be had.
  again() {
    for (const [key, entry] of this.entries) if (entry.state === "failed") this.entries.delete(key);
    this.onNews();
  }
}

// How many pixels a picture must have for its tiles to lie in it, and how many it may have. Masks do not say how many they are.
function neededOf({ size: [height, width], count, maximum }, columns) {
  const tiles = maximum?.length ?? count;
  if (!tiles) return { width, height, widest: width * columns, tallest: Infinity };
  const rows = Math.ceil(tiles / columns);
  return { width: width * Math.min(columns, tiles), height: height * rows, widest: width * columns, tallest: height * rows };
}
