// A window over the page, closed by Escape, by its button, or by a press beside it; what had the keyboard has it again.

import { element } from "./dom.js";

export class Dialog {
  // `onClosed` is told at once when somebody closes it, and once more when the browser says so, which it does a little later.
  constructor(className, onClosed = () => {}) {
    this.onClosed = onClosed;
    this.body = element("div", { className: "body" });
    this.title = element("h2");
    const close = element("button", { type: "button", className: "close", textContent: "✕", "aria-label": "close", onclick: () => this.leave() });
    this.root = element("dialog", { className, tabIndex: -1, "aria-label": "", onclose: onClosed, oncancel: (event) => this.leave(event) }, element("header", { className: "top" }, this.title, close), this.body);
    this.root.addEventListener("click", (event) => {
      if (event.target === this.root) this.leave();
    });
    // The page's own keys are not meant for what lies over it, but for going through the film.
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") event.stopPropagation();
    });
    document.body.append(this.root);
  }

  get isOpen() {
    return this.root.open;
  }

  open(title) {
    this.title.textContent = title;
    this.root.setAttribute("aria-label", title);
    if (this.root.open) return;
    this.root.showModal();
    this.root.focus(); // not its button, which space would press: it plays
    this.root.scrollTop = 0; // browsers keep how far it was scrolled when it was closed
  }

  leave(event) {
    event?.preventDefault(); // it closes as it does by its button
    this.close();
    this.onClosed();
  }

  close() {
    if (this.root.open) this.root.close();
  }
}
