// The scalars that the training itself has logged: asked for when they are needed, again when a run has gone on or they could not be had.

const AGAIN = 5000; // milliseconds until what could not be had is asked for again
const NONE = []; // one object: what has not changed is told by its being the same

export class Logged {
  constructor(source, onNews) {
    this.source = source;
    this.onNews = onNews;
    this.entries = new Map(); // run -> name of a scalar, "" for all names -> { value, state, isDue }
  }

  // What was logged since then is asked for when it is needed; what is known stays until it comes.
  forget(run) {
    for (const entry of this.entries.get(run)?.values() || []) entry.isDue = true;
  }

  tagsOf(run) {
    return this.entry(run, "", () => this.source.scalars(run)).value;
  }

  // [step, value] of one scalar; none until they have come.
  pointsOf(run, tag) {
    if (!this.tagsOf(run).includes(tag)) return NONE;
    return this.entry(run, tag, () => this.source.scalar(run, tag)).value;
  }

  // Of some runs' names, or of one scalar: "failed" if one could not be had, else "loading" if one is on its way, else "shown".
  stateOf(runs, tag = "") {
    const states = runs.map((run) => this.entries.get(run)?.get(tag)?.state);
    return ["failed", "loading"].find((state) => states.includes(state)) || "shown";
  }

  entry(run, name, ask) {
    if (!this.entries.has(run)) this.entries.set(run, new Map());
    const known = this.entries.get(run);
    if (!known.has(name)) known.set(name, { value: NONE, state: "loading", isDue: true });
    const entry = known.get(name);
    if (entry.isDue) this.ask(entry, ask);
    return entry;
  }

  ask(entry, ask) {
    entry.isDue = false;
    ask().then((value) => Object.assign(entry, { value: Array.isArray(value) ? value : NONE, state: "shown" }), () => this.fail(entry)).then(() => this.onNews());
  }

  fail(entry) {
    if (entry.state === "loading") entry.state = "failed";
    setTimeout(() => {
      entry.isDue = true;
      this.onNews();
    }, AGAIN);
  }
}
