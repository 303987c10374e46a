// The scalars that the training itself has logged: asked for when they are needed, and again when a run has gone on.

const NONE = []; // one object: what has not changed is told by its being the same

export class Logged {
  constructor(source, onNews) {
    this.source = source;
    this.onNews = onNews;
    this.tags = new Map(); // run -> names
    this.points = new Map(); // run -> name -> points
  }

  forget(run) {
    this.tags.delete(run);
    this.points.delete(run);
  }

  tagsOf(run) {
    if (!this.tags.has(run)) {
      this.tags.set(run, []);
      this.source.scalars(run).then((tags) => {
        this.tags.set(run, tags);
        this.onNews();
      }).catch(() => {});
    }
    return this.tags.get(run);
  }

  // [step, value] of one scalar; none until they have come.
  pointsOf(run, tag) {
    if (!this.tagsOf(run).includes(tag)) return NONE;
    if (!this.points.has(run)) this.points.set(run, new Map());
    const known = this.points.get(run);
    if (!known.has(tag)) {
      known.set(tag, NONE);
      this.source.scalar(run, tag).then((points) => {
        known.set(tag, points);
        this.onNews();
      }).catch(() => {});
    }
    return known.get(tag);
  }
}
