// What was costly to make is kept for a while: at most so many of a kind, the oldest go first.

export function kept(cache, limit, name, make) {
  if (!cache.has(name)) {
    if (cache.size >= limit) cache.delete(cache.keys().next().value);
    cache.set(name, make());
  }
  return cache.get(name);
}
