// Lists that open over the page: Escape, a press elsewhere and another page close them.

const OPEN = "details.over[open]";

export function closeOverlays(kept = []) {
  for (const each of document.querySelectorAll(OPEN)) if (!kept.includes(each)) each.open = false;
}

// Escape gives the keyboard to what had opened the list.
function onEscape(event) {
  const open = document.querySelector(OPEN);
  if (event.key !== "Escape" || !open || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  event.stopPropagation();
  closeOverlays();
  open.querySelector("summary").focus();
}

export function watchOverlays(document) {
  document.addEventListener("click", (event) => event.isTrusted && closeOverlays(event.composedPath()));
  document.addEventListener("keydown", onEscape, true);
}
