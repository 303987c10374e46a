// A text to the clipboard. Browsers lend it to pages of their own machine or of https alone; elsewhere a selected text is copied.

// Whether it is there now. `near` is where a text can be selected for a moment: what lies below an open window cannot.
export async function copied(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelecting(text, near);
  }
}

function copiedBySelecting(text, near) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.className = "unseen";
  field.value = text;
  near.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    field.remove();
    focused?.focus();
  }
}
