// What is wrong at the moment, above all pages: a server that does not answer, runs that could not be loaded or are not there.

import { foundIn } from "../runs/run_list.js";
import { element, replace } from "./dom.js";
import { runFilterOf } from "./host.js";

const OTHERS = "Others are shown in their place.";

export class Banner {
  constructor(onAgain) {
    this.onAgain = onAgain;
    this.root = element("div", { className: "banner", role: "alert", hidden: true });
  }

  // `gone` is since when nothing has been answered, or null.
  update({ gone, stock, state, host }) {
    const lines = [
      ...(gone ? [`TensorBoard does not answer since ${gone}. What has been loaded stays; it is asked again every 5 seconds.`] : []),
      ...[...stock.failed].map(([run, reason]) => `${run} could not be loaded: ${reason}`),
      ...missingIn(stock, state.runs, runFilterOf(host)),
    ];
    this.root.hidden = !lines.length;
    replace(this.root, JSON.stringify(lines), () => [
      element("div", {}, ...lines.map((line) => element("div", { textContent: line }))),
      element("button", { type: "button", textContent: "again", onclick: this.onAgain }),
    ]);
  }
}

// Runs that were chosen, or shown, and that are not there; where none is left that was, others stand in their place.
function missingIn({ names, lost, listed }, chosen, filter) {
  if (!listed.length) return [];
  const missing = chosen ? chosen.filter((run) => !names.includes(run)) : [...lost];
  const isOther = chosen && missing.length === chosen.length;
  if (missing.length) return [`Not among the runs${missing.some((run) => lost.has(run)) ? " any more" : ""}: ${missing.join(", ")}.${isOther ? ` ${OTHERS}` : ""}`];
  return !chosen && filter && !foundIn(names, filter).length ? [`TensorBoard's filter "${filter}" finds none of these runs. ${OTHERS}`] : [];
}
