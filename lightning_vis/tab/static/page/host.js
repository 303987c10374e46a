// The window around the page: TensorBoard's own where the page is inside it. Its address bar is the one that people copy.

export function hostWindow() {
  try {
    return window.parent.location.hash === undefined ? window : window.parent;
  } catch {
    return window;
  }
}

// What runs TensorBoard's own filter asks for, an expression; "" where there is none. It stands in the address, the only place where a
// plugin finds anything of the kind: of TensorBoard 2.21's messages (GetRuns, RunsChanged, GetURLPluginData, DataReloaded) the first two
// name all runs, none says which are ticked, and no message, address or storage has their colours.
export function runFilterOf(host) {
  return new URLSearchParams(host.location.search).get("runFilter") || "";
}

export function followTheme(host, onChange) {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const isDark = host === window ? dark.matches : host.document.body.classList.contains("dark-mode");
    document.documentElement.classList.toggle("dark", isDark);
  };
  const follow = () => {
    apply();
    onChange();
  };
  if (host === window) dark.addEventListener("change", follow);
  else new MutationObserver(follow).observe(host.document.body, { attributes: true, attributeFilter: ["class"] });
  apply();
}

// On paper and in the system's colours canvases are drawn anew: their colours do not follow by themselves.
export function followMedia(onChange) {
  for (const query of ["print", "(forced-colors: active)"]) window.matchMedia(query).addEventListener("change", onChange);
  for (const name of ["beforeprint", "afterprint"]) window.addEventListener(name, onChange);
}

// TensorBoard says when its reload button was pressed. It calls its protocol experimental; where that has changed nothing is lost,
// because the page asks for news by itself too.
export function onReload(host, act) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => {
    const { type, id, isReply } = JSON.parse(data);
    if (isReply) return;
    port1.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: true }));
    if (type === "experimental.DataReloaded") act();
  };
  host.postMessage("experimental.bootstrap", host.location.origin, [port2]);
}
