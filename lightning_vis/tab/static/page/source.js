// Where the data come from: TensorBoard, or the page itself where it was exported. Addresses are relative: they hold under any path prefix.

const [MOST_KEYS, MOST_LETTERS] = [32, 6000]; // of one request: our server refuses more keys, and others longer addresses
const PATIENCE = 20000; // milliseconds
const BETWEEN = 9; // letters of "&key=", and what else a key may grow by

export function serverSource() {
  return {
    isLive: true,
    runs: () => answer("runs"),
    looks: (run, since, known = []) => answer("data", { run, since, ...(known.length ? { known: known.join(",") } : {}) }),
    facts: (key) => answer("part", { key }),
    scalars: async (run) => (await answer("scalars", { run })).tags,
    scalar: async (run, tag) => (await answer("scalar", { run, tag })).points,
    picture: gathered(pictures),
  };
}

async function answer(path, query = {}) {
  const response = await fetched(`${path}?${new URLSearchParams(query)}`);
  const content = await response.json().catch(() => ({ error: `TensorBoard's answer cannot be read (${response.status})` }));
  if (!response.ok || content.error) throw new Error(content.error || `TensorBoard answers with ${response.status}`);
  return content;
}

// Who has not begun to answer after a while is given up, and said to be silent: whatever waits for it would wait for ever.
async function fetched(way) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE);
  try {
    return await fetch(way, { signal: stop.signal });
  } catch {
    throw new Error(stop.signal.aborted ? `TensorBoard has not answered for ${PATIENCE / 1000} seconds` : "it did not come");
  } finally {
    clearTimeout(timer);
  }
}

// What is asked for in one go is asked of the server in one go, and answered each for itself. `ask` gives a promise for each of some keys.
function gathered(ask) {
  let waiting = [];
  const send = () => {
    const all = waiting;
    waiting = [];
    for (const some of divided(all)) ask(some.map(({ key }) => key)).forEach((coming, at) => coming.then(some[at].resolve, some[at].reject));
  };
  return (key) => new Promise((resolve, reject) => {
    if (!waiting.length) queueMicrotask(send);
    waiting.push({ key, resolve, reject });
  });
}

// Keys in the order in which they were asked for, as many as one address can hold.
function divided(all) {
  const parts = [];
  let room = 0;
  for (const each of all) {
    const part = parts[parts.length - 1];
    room -= each.key.length + BETWEEN;
    if (part && part.length < MOST_KEYS && room >= 0) part.push(each);
    else {
      parts.push([each]);
      room = MOST_LETTERS - each.key.length - BETWEEN;
    }
  }
  return parts;
}

function pictures(keys) {
  const coming = packed(keys);
  return keys.map((_, at) => coming.then((all) => all[at]).then((each) => {
    if (typeof each === "string") throw new Error(each);
    return each;
  }));
}

// The bytes of each key, or the sentence that says why they could not be had.
async function packed(keys) {
  const response = await fetched(`blobs?${new URLSearchParams(keys.map((key) => ["key", key]))}`);
  if (!response.ok) throw new Error(`TensorBoard answers with ${response.status}`);
  const buffer = await response.arrayBuffer().catch(() => { throw new Error("it did not come"); });
  try {
    return unpacked(buffer);
  } catch {
    throw new Error("TensorBoard's answer cannot be read");
  }
}

// The length of a list, the list, and pictures: the list says how many bytes each has, or why it has none.
function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  let from = 4 + length;
  return JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))).map((told) => {
    if (typeof told === "string") return told;
    from += told;
    return from > buffer.byteLength ? "it did not come" : new Uint8Array(buffer, from - told, told);
  });
}

export function exportedSource(exported) {
  const byRun = new Map(exported.data.map((each) => [each.run, each]));
  return {
    isLive: false,
    runs: async () => exported.runs,
    looks: async (run) => byRun.get(run),
    facts: async (key) => exported.facts[key] || {},
    scalars: async (run) => Object.keys(exported.scalars[run] || {}),
    scalar: async (run, tag) => exported.scalars[run][tag],
    picture: async (key) => bytesOf(exported.pictures[key]),
  };
}

// Those of an address that holds the data themselves.
function bytesOf(address) {
  if (!address) throw new Error("it is not in this file");
  return Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (each) => each.charCodeAt(0));
}
