// Where the data come from: TensorBoard, or the page itself where it was exported. Addresses are relative: they hold under any path prefix.

export function serverSource() {
  return {
    isLive: true,
    runs: () => answer("runs"),
    looks: (run, since, known = []) => answer("data", { run, since, ...(known.length ? { known: known.join(",") } : {}) }),
    facts: (key) => answer("part", { key }),
    scalars: async (run) => (await answer("scalars", { run })).tags,
    scalar: async (run, tag) => (await answer("scalar", { run, tag })).points,
    picture: (key) => `blob?${new URLSearchParams({ key })}`,
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
    picture: (key) => exported.pictures[key],
  };
}
