// Axes of the chart: where a value stands, which ticks there are, and how a value is said.

const SLACK = 0.3; // of a step: values may lie so far beyond the last tick, so that one a little below 0 does not cost a third of the height

export function scaleOf(scalar, values, least = null) {
  if (/(^|[/_])lift$/.test(scalar)) return liftScale();
  if (/(^|[/_])alert(@|$)/.test(scalar)) return alertScale();
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (least !== null && /effect$|^reliance/.test(scalar)) return linearScale(Math.min(0, low), Math.max(least, high), false);
  if (/effect$/.test(scalar)) return linearScale(Math.min(0, low), Math.max(0.5, high), true);
  if (/^answers\/(mean_)?(error|squared_error|distance)$/.test(scalar)) return linearScale(Math.min(0, low), Math.max(0, high), false);
  if (/^answers\/(mean_iou|iou|nearest)$/.test(scalar)) return linearScale(Math.min(0, low), 1, false);
  if (values.length && low >= 0 && high <= 1) return linearScale(0, 1, true);
  return linearScale(values.length ? low : 0, values.length ? high : 1, false);
}

// On a log axis from a quarter to four times chance.
export function liftShare(lift) {
  return Math.min(1, Math.max(0, (Math.log2(Math.max(lift, 1e-9)) + 2) / 4));
}

// From two spreads of the targets too low to two too high.
export function errorShare(error) {
  return Math.min(1, Math.max(0, (error / 2 + 1) / 2));
}

function liftScale() {
  const texts = { 0.25: "¼ ×", 0.5: "½ ×", 1: "chance", 2: "2 ×", 4: "4 ×" };
  return {
    share: liftShare,
    ticks: Object.entries(texts).map(([value, text]) => ({ value: Number(value), text, isChance: value === "1" })),
    say: (value) => `${value.toFixed(2)} ×`,
  };
}

// An alert has levels, and is no share of anything.
function alertScale() {
  const ticks = [[0, "none"], [0.5, "amber"], [1, "red"]].map(([value, text]) => ({ value, text, isChance: false }));
  return { share: (value) => value, ticks, say: (value) => ticks.find((tick) => tick.value === value)?.text ?? String(value) };
}

function linearScale(low, high, isShare) {
  const step = niceStep((high - low || 1) / 2);
  const [first, past] = [Math.floor(low / step + SLACK), Math.ceil(high / step - SLACK)];
  const last = Math.max(past, first + 1);
  const say = (value) => (isShare ? `${Math.round(100 * value)} %` : String(Number(value.toPrecision(3)))).replace("-", "−");
  const ticks = [...Array(last - first + 1).keys()].map((at) => (first + at) * step).map((value) => ({ value, text: say(value), isChance: false }));
  const [from, to] = [Math.min(low, first * step), Math.max(high, last * step)];
  return { share: (value) => (value - from) / (to - from), ticks, say };
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}
