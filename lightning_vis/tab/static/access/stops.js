// Many things that can be pressed as one stop of the Tab key: arrows go between them, the one that had the keyboard last has it again.

const WAYS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

export class Stops {
  constructor(root, selector) {
    Object.assign(this, { root, selector });
    root.addEventListener("keydown", (event) => this.move(event));
    root.addEventListener("focusin", (event) => this.settle(event.target));
  }

  get all() {
    return [...this.root.querySelectorAll(this.selector)].filter((each) => !each.closest("[hidden]"));
  }

  // After children were made anew as well: one of them stays a stop.
  settle(chosen = document.activeElement) {
    const { all } = this;
    const stop = all.includes(chosen) ? chosen : all.find((each) => each.tabIndex === 0) || all[0];
    for (const each of all) each.tabIndex = each === stop ? 0 : -1;
  }

  move(event) {
    const way = WAYS[event.key];
    const { all } = this;
    if (!way || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || !all.includes(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
    nearest(event.target, all, way)?.focus();
  }
}

// What lies nearest in a direction; straight on counts more than aside.
function nearest(from, all, [right, down]) {
  const here = from.getBoundingClientRect();
  const far = (each) => {
    const there = each.getBoundingClientRect();
    const [x, y] = [there.left - here.left, there.top - here.top];
    const [along, aside] = right ? [x * right, Math.abs(y)] : [y * down, Math.abs(x)];
    return along > 1 ? along + 4 * aside : Infinity;
  };
  const [first] = all.map((each) => [far(each), each]).sort(([one], [other]) => one - other);
  return first[0] < Infinity ? first[1] : null;
}
