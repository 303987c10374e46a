// Where the data come from: TensorBoard, or the page itself where it was exported. Addresses are relative: they hold under any path prefix.

export function serverSource() {
  return {
    isLive: true,
    runs: () => answer("runs"),
    looks: (run, since, known = []) => answer("data", { run, since, ...(known.length ? { known: known.join(",") } : {}) }),
    facts: (key) => answer("part", { key }),
    scalars: async (run) => (await answer("scalars", { run })).tags,
    scalar: async (run, tag) => (await answer("scalar", { run, tag })).points,
    picture: async (key) => {
      const response = await fetch(`blob?${new URLSearchParams({ key })}`).catch(() => { throw new Error("it did not come"); });
      if (!response.ok) throw new Error(`TensorBoard answers with ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

async function answer(path, query = {}) {
  const response = await fetch(`${path}?${new URLSearchParams(query)}`);
  const content = await response.json().catch(() => ({ error: `TensorBoard's answer cannot be read (${response.status})` }));
  if (!response.ok || content.error) throw new Error(content.error || `TensorBoard answers with ${response.status}`);
  return content;
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
