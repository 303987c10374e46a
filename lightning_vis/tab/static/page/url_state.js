// What is shown, kept in the address bar so that a link can be sent, and in the session so that a reload keeps it.

const PREFIX = "p.lightning_vis.";
const STORE = "lightning_vis";

export const START = {
  tab: null, runs: null, probe: null, view: null, steps: null, epoch: null, page: 0, mode: "evidence", gain: 0, opacity: 1,
  photo: "grey", palette: "inferno", outline: false, scalar: null, layer: null, image: null,
  order: "given", only: null, glance: false, against: null, other: null, linked: false, apart: null, speed: "1", axis: "epoch", smooth: 0, from: null, to: null, cell: null,
};

const CHOICES = {
  tab: ["compare", "film", "filters", "twins"], mode: ["evidence", "shape"], photo: ["grey", "colour", "spotlight"],
  palette: ["inferno", "cividis"], axis: ["epoch", "step"], speed: ["0.25", "0.5", "1", "2", "4", "every"], order: ["given", "class", "wrong", "changed", "unsure", "off"],
};
const LIMITS = { page: [0, 9999], gain: [-3, 3], opacity: [0, 1], steps: [0, 1e15], epoch: [0, 1e9], image: [0, 1e6], other: [0, 1e15], apart: [-1e9, 1e9], from: [0, 1e15], to: [0, 1e15], smooth: [0, 0.99] };

// That of the address; that of the session where nothing stands there, or where the address was about to be written anew.
export function readState(host) {
  const inAddress = fromAddress(host.location.hash);
  const { texts, base } = sessionState();
  const isAddress = Object.keys(inAddress).length && base !== textsIn(host);
  return { ...START, ...(isAddress ? inAddress : fromTexts(texts)) };
}

function sessionState() {
  try {
    const { texts, base } = JSON.parse(sessionStorage.getItem(STORE));
    return { texts: texts || {}, base };
  } catch {
    return { texts: {}, base: null };
  }
}

// What the address says, as one text.
function textsIn(host) {
  return JSON.stringify(toTexts({ ...START, ...fromAddress(host.location.hash) }));
}

export function writeState(host, state) {
  const texts = toTexts(state);
  writeAddress(host, texts);
  keep(texts);
}

// `base` is the address that stands there meanwhile.
function keep(texts) {
  try {
    sessionStorage.setItem(STORE, JSON.stringify({ texts, base: pending.written }));
  } catch { /* a page from a file may not keep anything */ }
}

const PAUSE = 1000; // milliseconds: Safari refuses more than a hundred addresses in ten seconds
const pending = { texts: null, timer: 0, last: -PAUSE, written: "" };

// At once where the last one is long ago, else the newest one when its time has come.
function writeAddress(host, texts) {
  pending.texts = texts;
  const wait = pending.last + PAUSE - performance.now();
  if (wait > 0) pending.timer ||= setTimeout(() => flushAddress(host), wait);
  else flushAddress(host);
}

// The address of what is shown now, as it is to be copied or left.
export function flushAddress(host) {
  clearTimeout(pending.timer);
  const { texts } = pending;
  Object.assign(pending, { texts: null, timer: 0 });
  if (!texts) return;
  pending.written = JSON.stringify(toTexts({ ...START, ...fromTexts(texts) }));
  keep(texts);
  const address = addressOf(host, texts);
  if (address === host.location.href) return;
  pending.last = performance.now();
  try {
    host.history.replaceState(host.history.state, "", address);
  } catch { /* the next one stands */ }
}

// A hash alone may have another base.
function addressOf(host, texts) {
  const others = host.location.hash.replace(/^#/, "").split("&").filter((part) => part && !part.startsWith(PREFIX));
  const ours = Object.entries(texts).map(([name, text]) => `${PREFIX}${name}=${encodeURIComponent(text)}`);
  return `${host.location.href.split("#")[0]}#${[...others, ...ours].join("&")}`;
}

// A link that shows a state, whatever the address says at the moment.
export function linkTo(host, state) {
  return addressOf(host, toTexts(state));
}

// Whether the address is another one than was written here last: somebody has pasted a link.
export function isForeign(host) {
  return textsIn(host) !== pending.written;
}

function fromAddress(hash) {
  const texts = {};
  for (const part of hash.replace(/^#/, "").split("&")) {
    const at = part.indexOf("=");
    if (!part.startsWith(PREFIX) || at < 0) continue;
    try {
      texts[part.slice(PREFIX.length, at)] = decodeURIComponent(part.slice(at + 1));
    } catch { /* a broken link still opens the page */ }
  }
  return fromTexts(texts);
}

function fromTexts(texts) {
  const state = {};
  for (const [name, text] of Object.entries(texts)) {
    if (!(name in START) || typeof text !== "string") continue;
    try {
      const value = fromText(name, text);
      if (value !== undefined) state[name] = value;
    } catch { /* a broken link still opens the page */ }
  }
  return state;
}

function fromText(name, text) {
  if (name in CHOICES) return CHOICES[name].includes(text) ? text : undefined;
  if (name in LIMITS) {
    const value = Number(text);
    return text !== "" && value >= LIMITS[name][0] && value <= LIMITS[name][1] ? value : undefined;
  }
  if (["outline", "glance", "linked"].includes(name)) return text === "true";
  if (name === "cell") return cellOf(text);
  return name === "runs" ? text.split(",").map(decodeURIComponent) : text;
}

// An image's number and its run: "2,run".
function cellOf(text) {
  const at = text.indexOf(",");
  const image = Number(text.slice(0, at));
  return at > 0 && Number.isInteger(image) && image >= 0 ? { image, run: decodeURIComponent(text.slice(at + 1)) } : undefined;
}

function textOf(name, value) {
  if (name === "cell") return `${value.image},${encodeURIComponent(value.run)}`;
  return name === "runs" ? value.map(encodeURIComponent).join(",") : String(value);
}

function toTexts(state) {
  const texts = {};
  for (const [name, value] of Object.entries(state)) {
    if (!(name in START) || value === null || value === START[name]) continue;
    texts[name] = textOf(name, value);
  }
  return texts;
}
