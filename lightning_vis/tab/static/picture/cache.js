// What was costly to make is kept for a while: at most so many of a kind, or so many bytes; the oldest go first.

export function kept(cache, limit, name, make) {
  if (!cache.has(name)) {
    if (cache.size >= limit) cache.delete(cache.keys().next().value);
    cache.set(name, make());
  }
  return cache.get(name);
}

// Keeps the newest answer as long as all that it was made of are the same objects.
export class Latest {
  constructor() {
    this.parts = null;
  }

  of(parts, make) {
    if (parts.length !== this.parts?.length || parts.some((each, at) => each !== this.parts[at])) Object.assign(this, { parts, value: make() });
    return this.value;
  }
}

// Keeps as much as a number of bytes allows; what was asked for longest ago goes first, but never the newest.
export class Budget {
  constructor(bytes, onDrop = () => {}) {
    this.bytes = bytes;
    this.onDrop = onDrop;
    this.used = 0;
    this.held = new Map(); // name -> { value, size }
  }

  get(name) {
    const found = this.held.get(name);
    if (!found) return undefined;
    this.held.delete(name);
    this.held.set(name, found);
    return found.value;
  }

  set(name, value, size) {
    this.drop(name);
    this.held.set(name, { value, size });
    this.used += size;
    for (const old of this.held.keys()) {
      if (this.used <= this.bytes || old === name) break;
      this.drop(old);
      this.onDrop(old);
    }
    return value;
  }

  drop(name) {
    this.used -= this.held.get(name)?.size || 0;
    this.held.delete(name);
  }

  kept(name, make, size) {
    const found = this.get(name);
    if (found !== undefined) return found;
    const made = make();
    return this.set(name, made, size(made));
  }
}
