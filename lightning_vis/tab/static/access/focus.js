// Who has the keyboard after the page was drawn anew: what stands for the same thing, else what is nearest of its kind, else the page.

const FOCUSABLE = "button, input, select, summary, [tabindex]";
const LOST = "[hidden], :disabled, dialog:not([open]), details:not([open]) > :not(summary)";

// What has the keyboard within a part of the page, in words that find it again; null where nothing has it.
// Where a pointer has pressed it, the page's own keys are wanted next; a window over the page has no others.
export function heldIn(parent) {
  const held = document.activeElement;
  if (held === parent || !parent.contains(held) || !(held.matches(":focus-visible") || held.closest("dialog"))) return null;
  const all = alikeIn(parent, kindOf(held));
  const named = all.filter((each) => nameOf(each) === nameOf(held));
  return { kind: kindOf(held), name: nameOf(held), nth: named.indexOf(held), at: all.indexOf(held) };
}

export function giveBack(parent, held) {
  const all = alikeIn(parent, held.kind);
  const named = all.filter((each) => nameOf(each) === held.name && !each.disabled);
  const found = named[held.nth] || named[0] || nearest(all, held.at) || parent.closest("dialog")?.querySelector(".close");
  found?.focus({ preventScroll: true }); // it may not have its size yet
}

// Draws; if what had the keyboard is gone then, the refuge has it.
export function keeping(refuge, draw) {
  const before = document.activeElement;
  draw();
  if (before !== document.body && isLost()) refuge.focus({ preventScroll: true });
}

// Whether nothing has the keyboard, or something that is not to be seen any more.
export function isLost() {
  const now = document.activeElement;
  return now === document.body || Boolean(now.closest(LOST));
}

function alikeIn(parent, kind) {
  return [...parent.querySelectorAll(FOCUSABLE)].filter((each) => kindOf(each) === kind);
}

function kindOf(each) {
  return `${each.localName} ${each.className} ${each.parentElement.className}`;
}

function nameOf(each) {
  return each.dataset.name ?? each.getAttribute("aria-label") ?? (each.value || each.textContent);
}

function nearest(all, at) {
  const far = (each) => Math.abs(all.indexOf(each) - at);
  return all.filter((each) => !each.disabled).sort((one, other) => far(one) - far(other))[0];
}
