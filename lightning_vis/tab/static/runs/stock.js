// What is known of the runs: which there are, what has been loaded of each, what is on its way, what could not be had, what is gone.

import { soundRuns, soundStreams } from "../page/intake.js";
import { mergedStreams } from "../page/looks.js";
import { inOrder } from "./marks.js";

export class Stock {
  // `onLoaded` is told the run of which something new has come, `onNews` that anything is another than before.
  constructor(source, { onLoaded, onNews }) {
    Object.assign(this, { source, onLoaded, onNews });
    this.listed = []; // all runs, in natural order
    this.loaded = new Map(); // run -> streams
    this.newest = new Map(); // run -> until when it has been loaded
    this.recent = new Map(); // run -> what names the looks of the last minute, which are not sent again
    this.failed = new Map(); // run -> why it could not be loaded
    this.asked = new Set(); // runs that are on their way
    this.lost = new Set(); // runs that had been loaded, and are not listed any more
  }

  get names() {
    return this.listed.map((each) => each.run);
  }

  // Takes the server's list. What was written last earlier than it had been before is another training under an old name.
  list(answer) {
    const before = new Map(this.listed.map((each) => [each.run, each.newest]));
    const byName = new Map(soundRuns(answer).map((each) => [each.run, each]));
    this.listed = inOrder(byName.keys()).map((name) => byName.get(name));
    for (const { run, newest } of this.listed) if (newest < before.get(run)) this.forget(run);
    for (const run of this.loaded.keys()) if (!byName.has(run)) this.lost.add(run);
    for (const run of byName.keys()) this.lost.delete(run);
    for (const run of this.lost) this.forget(run);
  }

  forget(run) {
    for (const each of [this.loaded, this.newest, this.recent, this.failed]) each.delete(run);
  }

  // Asks for what is new of some runs; each for itself, and none twice at a time.
  refresh(runs) {
    for (const run of this.failed.keys()) if (!runs.includes(run)) this.failed.delete(run);
    return Promise.all(runs.filter((run) => this.isStale(run)).map((run) => this.attempt(run)));
  }

  isStale(run) {
    const listed = this.listed.find((each) => each.run === run);
    return !this.asked.has(run) && (!this.newest.has(run) || listed.newest > this.newest.get(run));
  }

  // Whether nothing is known of a run yet, not even why.
  isNew(run) {
    return !this.newest.has(run) && !this.failed.has(run) && !this.asked.has(run);
  }

  async attempt(run) {
    this.asked.add(run);
    try {
      await this.load(run);
      this.failed.delete(run);
    } catch (error) {
      this.failed.set(run, error.message);
    }
    this.asked.delete(run);
    this.onNews();
  }

  async load(run) {
    const { streams, newest, recent } = await this.source.looks(run, this.newest.get(run) || 0, this.recent.get(run));
    let merged = mergedStreams(this.loaded.get(run) || [], soundStreams(streams));
    // A look that stands under another name now is known under its old one alone: all are asked for again.
    if (merged.some((stream) => stream.looks.length < stream.places.length)) merged = soundStreams((await this.source.looks(run, 0)).streams);
    this.newest.set(run, Number.isFinite(newest) ? newest : 0);
    this.recent.set(run, Array.isArray(recent) ? recent : []);
    this.loaded.set(run, merged);
    this.onLoaded(run);
  }
}
