// The most probable classes of an image, a bar for each.

import { element, replace } from "../page/dom.js";

export function shares(parent, likeliest, colour) {
  parent.hidden = !likeliest.length;
  replace(parent, JSON.stringify([likeliest, colour]), () => likeliest.map((each) => rowOf(each, colour)));
}

function rowOf({ name, share, isTrue }, colour) {
  const fill = element("i");
  fill.style.width = `${100 * share}%`;
  fill.style.background = `var(${colour})`;
  const label = element("span", { className: "name", textContent: name, title: isTrue ? `${name}, the label` : name });
  if (isTrue) label.append(element("span", { className: "quiet", textContent: " (label)" }));
  return element("div", { className: "row" }, label, element("span", { className: "share" }, fill), element("span", { className: "number", textContent: share > 0 && share < 0.005 ? "< 0.01" : share.toFixed(2) }));
}
