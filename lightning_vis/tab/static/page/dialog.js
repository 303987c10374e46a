// A window over the page, closed by Escape, by its button, or by a press beside it; what had the keyboard has it again.

import { element } from "./dom.js";

export class Dialog {
  constructor(className, onClose = () => {}) {
    this.body = element("div", { className: "body" });
    this.title = element("h2");
    const close = element("button", { type: "button", className: "close", textContent: "✕", "aria-label": "close", onclick: () => this.root.close() });
    this.root = element("dialog", { className, tabIndex: -1, "aria-label": "", onclose: onClose }, element("header", { className: "top" }, this.title, close), this.body);
    this.root.addEventListener("click", (event) => {
      if (event.target === this.root) this.root.close();
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

  close() {
    if (this.root.open) this.root.close();
  }
}
