// All images at a glance, each a button that leads to it.
import { paint } from "./picture.js";

const SMALL = 192;

export class Images {
  constructor(place, sheets, images, onChoice) {
    Object.assign(this, { sheets, images });
    this.buttons = images.map((image, at) => {
      const button = document.createElement("button");
      const [canvas, name, how] = ["canvas", "span", "span"].map((kind) => document.createElement(kind));
      canvas.setAttribute("aria-hidden", "true");
      how.className = "how";
      name.textContent = `${at + 1} ${image.name}`;
      button.append(canvas, name, how);
      button.addEventListener("click", () => onChoice(at));
      place.append(button);
      return button;
    });
    images.forEach((_, at) => this.show(at));
  }

  // An image whose box has changed.
  show(at) {
    const [image, button] = [this.images[at], this.buttons[at]];
    paint(button.firstChild, this.sheets.get(image.pool), image, image.box, SMALL);
    button.lastChild.textContent = image.box ? "box" : "automatic";
    button.lastChild.classList.toggle("boxed", Boolean(image.box));
    const boxed = this.images.filter((each) => each.box).length;
    document.getElementById("count").textContent = `${this.images.length} images, ${boxed} with a box`;
  }

  // Side by side the list follows the large image; below each other it is the large image that has to be seen.
  choose(at) {
    this.buttons.forEach((each, place) => each.setAttribute("aria-current", String(place === at)));
    const isWide = matchMedia("(min-width: 761px)").matches;
    (isWide ? this.buttons[at] : document.getElementById("editor")).scrollIntoView({ block: "nearest" });
  }
}
