// Selects and ranges hand the keyboard back to the page: at Escape, and a select once a choice is made.

const CHOOSES = ["Enter", " "]; // a select that another key has changed is gone through, step by step

export function handBack(document, focusPage) {
  let key = null;
  document.addEventListener("pointerdown", () => { key = null; }, true);
  document.addEventListener("keydown", (event) => { key = event.altKey ? null : event.key; }, true);
  document.addEventListener("change", ({ target }) => {
    if (target.localName === "select" && (key === null || CHOOSES.includes(key))) focusPage();
    key = null;
  });
}

const OWN = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"]; // keys of a range

// Whether a key means something where it is pressed.
export function takesKey(target, key) {
  if (target.closest("input[type=range]")) return OWN.includes(key);
  return Boolean(target.closest("input[type=text], input[type=search], select, textarea"));
}

export function isField(target) {
  return Boolean(target.closest("input[type=range], select"));
}
