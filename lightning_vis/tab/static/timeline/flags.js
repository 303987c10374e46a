// Flags: since when an alert stood, of twins or of the exchange of surroundings, and how it stands at the newest look that asked.

const ALERTS = [
  { tag: "reliance/alert", least: 0.5, what: "background" },
  { tag: "reliance/surroundings_alert", least: 1, what: "surroundings" },
];

// One of each alert that ever stood in a run.
export function flagsOf(run) {
  return ALERTS.map((alert) => flagOf(run, alert)).filter(Boolean);
}

// The first look at which any of them stood.
export function firstFlag(run) {
  const looks = flagsOf(run).map((each) => each.look);
  return run.looks.find((each) => looks.includes(each));
}

function flagOf(run, { tag, least, what }) {
  const isLit = (look) => look.numbers[tag] >= least;
  const asked = run.looks.filter((look) => look.numbers[tag] !== undefined);
  const look = asked.find(isLit);
  if (!look) return null;
  const last = asked[asked.length - 1];
  const gone = asked.slice(asked.findLastIndex(isLit) + 1)[0];
  const until = gone ? `, gone since ${gone.when}` : last === look ? "" : `, still at ${last.when}`;
  return { run, look, what, isPast: Boolean(gone), text: `⚑ ${run.name}: ${what}, from ${look.when}${until}` };
}
