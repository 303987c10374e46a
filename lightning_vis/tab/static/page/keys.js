// What the keyboard does.

import { isField, takesKey } from "../access/fields.js";
import { isFlowing } from "./dom.js";

const TABS = ["compare", "film", "filters", "twins"];
const LINE = 80; // pixels

export function onKey(page, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !page.model?.positions.length || page.help.dialog.isOpen) return;
  if (event.key === "Escape" && isField(event.target)) return page.stage.focus({ preventScroll: true });
  if (takesKey(event.target, event.key)) return;
  const scroll = scrollOf(page, event);
  const action = scroll || actionOf(page, event);
  if (!action) return;
  event.preventDefault();
  if (!scroll && event.key.length > 1 && page.isPlaying) page.stop();
  action();
}

function actionOf(page, event) {
  const { model, state } = page;
  const isSlider = event.target.closest("[role=slider]");
  const isPressed = event.target.closest("button, input:not([type=range]), summary"); // by space, too
  const actions = {
    ArrowRight: () => (event.shiftKey ? page.goOther(model.other + 1) : page.go(model.index + 1)),
    ArrowLeft: () => (event.shiftKey ? page.goOther(model.other - 1) : page.go(model.index - 1)),
    PageDown: () => page.go(model.index + 10),
    PageUp: () => page.go(model.index - 10),
    b: () => page.change(state.against === "moment" ? { against: null } : { against: "moment" }),
    "+": () => page.zoom(true),
    "-": () => page.zoom(false),
    ...(isSlider ? { ArrowUp: () => page.go(model.index + 1), ArrowDown: () => page.go(model.index - 1) } : {}),
    Home: () => page.go(0),
    End: () => page.go(model.positions.length - 1),
    o: () => page.change({ outline: !state.outline }),
    v: () => page.nextView(),
    "?": () => page.help.open(),
    Escape: () => (page.cell.dialog.isOpen ? page.cell.dialog.close() : page.change({ image: null })),
    ...(isPressed ? {} : { " ": () => (page.isPlaying ? page.stop() : page.play()) }),
  };
  const tab = TABS[Number(event.key) - 1];
  return actions[event.key] || (tab && (() => page.change({ tab, cell: null }))); // another page closes what lies over this one
}

// Up and down where they mean nothing else: a page that is taller than the window is read by the keyboard alone.
// A small window scrolls as a whole, and a list or an opened tile does, by itself.
function scrollOf(page, { key, target }) {
  const way = { ArrowUp: -1, ArrowDown: 1 }[key];
  if (!way || isFlowing() || page.cell.dialog.isOpen || target.closest("[role=slider], details.over")) return null;
  return () => page.stage.scrollBy({ top: way * LINE });
}
