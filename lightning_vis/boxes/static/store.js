// Boxes on their way to the file: saved at once, kept while the server is gone, sent again when it is back.

const PAUSE = 3000;

export class Store {
  // tell: (state, words); states are saved, saving, failed, gone.
  constructor(file, tell) {
    Object.assign(this, { file, tell, pending: new Map(), isSending: false, isGone: false });
    window.addEventListener("beforeunload", (event) => this.pending.size && event.preventDefault());
    setInterval(() => this.ask(), PAUSE);
  }

  change(key, box) {
    this.pending.set(key, box);
    this.send();
  }

  // What was changed meanwhile goes with the next request: one at a time, so that the last change is the last one saved.
  async send() {
    if (this.isSending || !this.pending.size) return;
    this.isSending = true;
    const sent = new Map(this.pending);
    this.tell("saving", `saving in ${this.file}`);
    const worked = await this.put(Object.fromEntries(sent));
    this.isSending = false;
    if (!worked) return;
    for (const [key, box] of sent) if (this.pending.get(key) === box) this.pending.delete(key);
    if (this.pending.size) this.send();
    else this.tell("saved", `saved in ${this.file}`);
  }

  async put(boxes) {
    try {
      const answer = await fetch("boxes", { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ boxes }) });
      this.isGone = false;
      if (answer.ok) return true;
      const { error } = await answer.json();
      this.tell("failed", `not saved (${this.unsaved()}): ${error}`);
    } catch {
      this.lose();
    }
    return false;
  }

  unsaved() {
    return this.pending.size === 1 ? "1 image" : `${this.pending.size} images`;
  }

  // The server ends with Ctrl-C; what is not saved stays in this page.
  lose() {
    this.isGone = true;
    const kept = this.pending.size ? `, and ${this.unsaved()} not saved: leave this page open` : ", and everything is saved";
    this.tell("gone", `the server is gone${kept}. Start the same command with --port ${location.port} to go on`);
  }

  async ask() {
    try {
      await fetch("alive");
      if (!this.isGone) return;
      this.isGone = false;
      if (this.pending.size) this.send();
      else this.tell("saved", "the server is back");
    } catch {
      this.lose();
    }
  }
}
