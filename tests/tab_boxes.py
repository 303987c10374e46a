"""What of a page leaves the window or lies over something else, measured in the browser."""

from __future__ import annotations

BOXES = """region => {
    const root = document.querySelector(region);
    const over = ".state, .badge, .cross, .cursor, .pointed, .unseen, option, dialog, .list, .lines";
    const clipped = ({ left, top, right, bottom }, from) => {
        for (let each = from; each && each !== document.body; each = each.parentElement) {
            if (getComputedStyle(each).overflow === "visible") continue;
            const box = each.getBoundingClientRect();
            [left, top, right, bottom] = [Math.max(left, box.left), Math.max(top, box.top), Math.min(right, box.right), Math.min(bottom, box.bottom)];
        }
        return right - left > 1 && bottom - top > 1 ? { left, top, right, bottom } : null;
    };
    const things = [];
    const add = (owner, text, rect) => {
        const box = owner.checkVisibility() && !owner.closest(over) && clipped(rect, owner.parentElement);
        if (box) things.push({ owner, text: text.trim().slice(0, 30), ...box });
    };
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { currentNode: node } = walker;
        if (!node.textContent.trim() || node.parentElement.closest("button, select, summary")) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const rect of range.getClientRects()) {
            const box = clipped(rect, node.parentElement);
            if (box) add(node.parentElement, node.textContent, box);
        }
    }
    for (const each of root.querySelectorAll("button, select, summary, input, canvas")) add(each, each.textContent || each.className || each.localName, each.getBoundingClientRect());
    const wrong = things.filter(({ left, right }) => left < -1 || right > innerWidth + 1).map(({ text }) => `${text} leaves the window`);
    things.forEach((one, at) => things.slice(at + 1).forEach((other) => {
        if (one.owner.contains(other.owner) || other.owner.contains(one.owner)) return;
        const [x, y] = [Math.min(one.right, other.right) - Math.max(one.left, other.left), Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top)];
        if (x > 2 && y > 3) wrong.push(`${one.text} lies over ${other.text}`);
    }));
    if (root.scrollWidth > root.clientWidth + 1) wrong.push(`${region} is wider than the window`);
    return [...new Set(wrong)];
}"""
"""What leaves the window, and what lies over what: controls, canvases and lines of text, as far as they can be seen."""
