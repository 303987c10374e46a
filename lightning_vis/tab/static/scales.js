// Axes of the chart: where a value stands, which ticks there are, and how a value is said.

export function scaleOf(scalar, values) {
  if (/(^|[/_])lift$/.test(scalar)) return liftScale();
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (/effect$/.test(scalar)) return linearScale(Math.min(0, low), Math.max(0.5, high), true);
  if (values.length && low >= 0 && high <= 1) return linearScale(0, 1, true);
  return linearScale(values.length ? low : 0, values.length ? high : 1, false);
}

function liftScale() {
  const texts = { 0.25: "¼ ×", 0.5: "½ ×", 1: "chance", 2: "2 ×", 4: "4 ×" };
  return {
    share: (value) => Math.min(1, Math.max(0, (Math.log2(Math.max(value, 1e-9)) + 2) / 4)),
    ticks: Object.entries(texts).map(([value, text]) => ({ value: Number(value), text, isChance: value === "1" })),
    say: (value) => `${value.toFixed(2)} ×`,
  };
}

function linearScale(low, high, isShare) {
  const step = niceStep((high - low || 1) / 2);
  const [from, to] = [Math.floor(low / step + 1e-9) * step, Math.max(Math.ceil(high / step - 1e-9) * step, Math.floor(low / step) * step + step)];
  const say = (value) => (isShare ? `${Math.round(100 * value)} %` : String(Number(value.toPrecision(3))));
  const count = Math.round((to - from) / step);
  const ticks = [...Array(count + 1).keys()].map((at) => ({ value: from + at * step, text: say(from + at * step), isChance: false }));
  return { share: (value) => (value - from) / (to - from), ticks, say };
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}
