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

// What was exported: { constants, runs }, each run with its data, pictures and scalars.
export function exportedSource({ constants, runs }) {
  const byRun = new Map(runs.map((each) => [each.run, each]));
  const facts = new Map(runs.flatMap((each) => Object.entries(each.facts)));
  const pictures = new Map(runs.flatMap((each) => Object.entries(each.pictures)));
  return {
    isLive: false,
    runs: async () => ({ runs: runs.map(({ run }) => ({ run, newest: 0 })), constants }),
    looks: async (run) => byRun.get(run).data,
    facts: async (key) => facts.get(key) || {},
    scalars: async (run) => Object.keys(byRun.get(run).scalars || {}),
    scalar: async (run, tag) => byRun.get(run).scalars[tag],
    picture: (key) => pictures.get(key),
  };
}
