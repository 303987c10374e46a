// Captions of finished pictures: asked for when they are shown, and again where they could not be had.

const AGAIN = 3000; // milliseconds

export class Captions {
  constructor(page) {
    this.page = page;
    this.known = new Map(); // key -> captions
    this.waiting = new Map(); // key -> when they may be asked for again
  }

  // Null until they are there.
  of(part) {
    if (!this.known.has(part.key)) this.ask(part.key);
    return this.known.get(part.key) || null;
  }

  isLoading(part) {
    return !this.known.has(part.key) && this.waiting.get(part.key) === Infinity;
  }

  async ask(key) {
    if (this.waiting.get(key) > performance.now()) return;
    this.waiting.set(key, Infinity);
    try {
      const facts = await this.page.source.facts(key);
      this.known.set(key, Array.isArray(facts?.captions) ? facts.captions.map(String) : []);
    } catch {
      this.waiting.set(key, performance.now() + AGAIN);
      setTimeout(() => this.page.repaint(), AGAIN + 50);
    }
    this.page.repaint();
  }
}
