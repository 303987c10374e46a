// What the colours of the legend are, in words, for those who do not see them.

const ENDS = { inferno: ["black", "light yellow"], cividis: ["dark blue", "yellow"] };

export function legendWords(ticks, { scale, isLog, settings }) {
  const say = ({ value }) => String(Number(value.toPrecision(2))).replace("-", "−");
  const [first, last] = [ticks[0], ticks[ticks.length - 1]].map(say);
  const axis = isLog ? ", on a logarithmic scale" : ", in multiples of a map's own mean";
  const [low, high] = ENDS[settings.palette];
  if (settings.photo === "spotlight") return `Legend: the photo is dark at 0 and lit at ${last}${axis}.`;
  if (scale.signed) return `Legend: blue at ${first}, the photo itself at 0, warm at ${last}${axis}.`;
  return `Legend: ${scale.kind === "log" ? "the photo itself" : low} at ${first}, ${high} at ${last}${axis}.`;
}
