// What the keyboard does.

export function onKey(page, event) {
  const isTyping = event.target.closest("input[type=text], input[type=search], select, textarea");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !page.model?.positions.length) return;
  if (page.help.dialog.isOpen) return;
  const isControl = event.target.closest("button, input, summary, [role=radio], [role=button]");
  const tabs = ["compare", "film", "filters", "twins"];
  const actions = {
    ArrowRight: () => (event.shiftKey ? page.goOther(page.model.other + 1) : page.go(page.model.index + 1)),
    ArrowLeft: () => (event.shiftKey ? page.goOther(page.model.other - 1) : page.go(page.model.index - 1)),
    PageDown: () => page.go(page.model.index + 10),
    PageUp: () => page.go(page.model.index - 10),
    b: () => page.change(page.state.against === "moment" ? { against: null } : { against: "moment" }),
    "+": () => page.zoom(true),
    "-": () => page.zoom(false),
    ...(event.target.closest("[role=slider]") ? { ArrowUp: () => page.go(page.model.index + 1), ArrowDown: () => page.go(page.model.index - 1) } : {}),
    Home: () => page.go(0),
    End: () => page.go(page.model.positions.length - 1),
    o: () => page.change({ outline: !page.state.outline }),
    v: () => page.nextView(),
    "?": () => page.help.open(),
    Escape: () => (page.cell.dialog.isOpen ? page.cell.dialog.close() : page.change({ image: null })),
  };
  if (!isControl) actions[" "] = () => (page.isPlaying ? page.stop() : page.play());
  if (event.target.closest("input[type=range]")) return;
  const action = actions[event.key] || (tabs[Number(event.key) - 1] && (() => page.change({ tab: tabs[Number(event.key) - 1] })));
  if (!action) return;
  event.preventDefault();
  if (event.key.length > 1 && page.isPlaying) page.stop();
  action();
}
