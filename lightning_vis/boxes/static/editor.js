// One image, large: a box is drawn over it, or typed.
import { dragged, isBox, percents, said } from "./box.js";
import { paint } from "./picture.js";

const find = (id) => document.getElementById(id);
const SIDES = ["left", "top", "right", "bottom"].map(find);
const LARGE = 900;

export class Editor {
  // onBox: (box) when one is drawn or typed.
  constructor(sheets, onBox) {
    Object.assign(this, { sheets, onBox, canvas: find("large"), from: null });
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.from && this.paint(dragged(this.from, this.point(event))));
    this.canvas.addEventListener("pointerup", (event) => this.end(event));
    this.canvas.addEventListener("pointercancel", () => this.stop());
    for (const each of SIDES) each.addEventListener("change", () => this.typed());
  }

  show(image, at, count) {
    Object.assign(this, { image, from: null });
    find("caption").textContent = `image ${at + 1} of ${count}: ${image.name}`;
    const how = image.box ? `box: ${said(image.box)}` : image.cut ? `cut out automatically: ${said(image.cut)}` : "nothing was cut out";
    find("said").textContent = how;
    this.canvas.setAttribute("aria-label", `image ${at + 1}, ${image.name}, ${how}`);
    find("accept").disabled = !image.cut;
    find("clear").disabled = !image.box;
    const shown = image.box ?? image.cut;
    SIDES.forEach((each, side) => { each.value = shown ? percents(shown)[side] : ""; each.removeAttribute("aria-invalid"); });
    this.paint(image.box);
  }

  paint(box) {
    paint(this.canvas, this.sheets.get(this.image.pool), this.image, box, LARGE);
  }

  // Where the pointer is, in shares of the picture, which may be narrower than its place on the page.
  point(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const scale = Math.min(width / this.canvas.width, height / this.canvas.height);
    const [wide, high] = [this.canvas.width * scale, this.canvas.height * scale];
    return [(event.clientX - left - (width - wide) / 2) / wide, (event.clientY - top - (height - high) / 2) / high];
  }

  begin(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.from = this.point(event);
  }

  end(event) {
    const box = this.from && dragged(this.from, this.point(event));
    this.stop();
    if (box) this.onBox(box);
  }

  stop() {
    this.from = null;
    this.paint(this.image.box);
  }

  typed() {
    const box = SIDES.map((each) => (each.value === "" ? NaN : Number(each.value) / 100));
    const isGood = isBox(box);
    for (const each of SIDES) each.setAttribute("aria-invalid", String(!isGood));
    if (isGood) this.onBox(box);
    else find("said").textContent = "no box yet: left and top have to be at least 4 % below right and bottom, all within 0 and 100";
  }
}
