// Where the time of a turn went: one bar in colours, and the same in figures.

import { element } from "./element.js";
import { words } from "./words.js";

const STAGES = ["turn_decided", "transcript", "first_token", "first_audio", "done"];
const SCALE_MS = 2000; // bars of different turns are comparable; a longer turn has its own scale

/** The stages that are known, in the order of their times, each from the end of the one before. */
export function segments(latency) {
  const known = STAGES.filter((stage) => (latency[stage] ?? null) !== null);
  known.sort((a, b) => latency[a] - latency[b] || STAGES.indexOf(a) - STAGES.indexOf(b));
  let from = 0;
  return known.map((stage) => {
    const to = Math.max(from, latency[stage]);
    const segment = { stage, from, to, at: latency[stage] };
    from = to;
    return segment;
  });
}

function bar(segment, longest) {
  const made = element("i", { dataset: { stage: segment.stage } });
  made.style.insetInlineStart = `${(100 * segment.from) / longest}%`;
  made.style.inlineSize = `${Math.max(0.6, (100 * (segment.to - segment.from)) / longest)}%`;
  return made;
}

/** A `details` element: the headline and the bar, opened the figures. Null when nothing is known. */
export function waterfall({ latency_ms: latency }) {
  const parts = segments(latency);
  if (parts.length === 0) return null;
  const headline = latency.first_audio ?? latency.done;
  const longest = Math.max(SCALE_MS, parts.at(-1).to);
  const strip = element("span", { class: "track", "aria-hidden": "true" });
  strip.append(...parts.map((part) => bar(part, longest)));
  const title = element("span", { text: headline === null ? "…" : words().answered(headline) });
  const details = element("details", { class: "latency" }, element("summary", {}, title, strip));
  const own = Math.max(1, parts.at(-1).to);
  for (const part of parts) {
    const track = element("span", { class: "track", "aria-hidden": "true" }, bar(part, own));
    const name = element("span", { text: words().stages[part.stage] });
    const figure = element("b", { text: `${part.at} ms` });
    details.append(element("span", { class: "step" }, name, track, figure));
  }
  return details;
}
