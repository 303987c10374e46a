// What is wrong at the moment, above all pages: a server that does not answer, runs that could not be loaded.

import { element, replace } from "./dom.js";

export class Banner {
  constructor(onAgain) {
    this.onAgain = onAgain;
    this.root = element("div", { className: "banner", role: "alert", hidden: true });
  }

  // `gone` is since when nothing has been answered, or null; `failed` says by the name of a run why it could not be loaded.
  update({ gone, failed }) {
    const lines = [
      ...(gone ? [`TensorBoard does not answer since ${gone}. What has been loaded stays; it is asked again every 5 seconds.`] : []),
      ...[...failed].map(([run, reason]) => `${run} could not be loaded: ${reason}`),
    ];
    this.root.hidden = !lines.length;
    replace(this.root, JSON.stringify(lines), () => [
      element("div", {}, ...lines.map((line) => element("div", { textContent: line }))),
      element("button", { type: "button", textContent: "again", onclick: this.onAgain }),
    ]);
  }
}
