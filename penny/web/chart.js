// A chart drawn by hand: a line or columns over the last hours, its last figure printed large.

import { drawing, element } from "./element.js";
import { words } from "./words.js";

const WIDTH = 320;
const HEIGHT = 96;
const COLUMNS = 60; // more points than this are gathered

/** Gather a long series into fewer points: sums of what is counted, means of what is measured. */
export function gather(values, how, most = COLUMNS) {
  const size = Math.max(1, Math.ceil(values.length / most));
  const gathered = [];
  for (let at = 0; at < values.length; at += size) {
    const known = values.slice(at, at + size).filter((value) => value !== null);
    const sum = known.reduce((total, value) => total + value, 0);
    if (how === "sum") gathered.push(known.length ? sum : 0);
    else gathered.push(known.length ? sum / known.length : null);
  }
  return gathered;
}

/** A round number at or above `value`, for the top of the scale. */
export function ceiling(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * unit).find((step) => step >= value * 0.999);
}

function lines(values, top) {
  const x = (n) => (values.length < 2 ? 0 : (n * WIDTH) / (values.length - 1));
  const y = (value) => HEIGHT - (value / top) * (HEIGHT - 6);
  const runs = []; // unbroken stretches of known values
  values.forEach((value, n) => {
    if (value === null) return;
    if (n === 0 || values[n - 1] === null) runs.push([]);
    runs.at(-1).push([x(n), y(value)]);
  });
  return runs.flatMap((run) => {
    const path = run.map((point) => point.map((number) => number.toFixed(1)).join(" ")).join(" L ");
    const [from, to] = [run[0][0], run.at(-1)[0]].map((number) => number.toFixed(1));
    if (run.length === 1) return [drawing("circle", { cx: from, cy: run[0][1], r: 2, class: "dot" })];
    const under = drawing("path", { d: `M ${from} ${HEIGHT} L ${path} L ${to} ${HEIGHT} Z`, class: "area" });
    return [under, drawing("path", { d: `M ${path}`, class: "line" })];
  });
}

function columns(values, top) {
  const step = WIDTH / values.length;
  return values.map((value, n) => {
    const height = ((value ?? 0) / top) * (HEIGHT - 6);
    const width = Math.max(1, step - 1.5);
    return drawing("rect", { x: n * step, y: HEIGHT - height, width, height, class: "column" });
  });
}

/**
 * `series`: {title, values, at (epoch seconds), how: "mean" | "sum", kind: "line" | "columns",
 * print(value), headline}. Unknown values are null.
 */
export function chart({ name, title, values, at, how, kind, print, headline }) {
  const gathered = gather(values, how);
  const known = gathered.filter((value) => value !== null);
  const top = ceiling(Math.max(0, ...known));
  const marks = kind === "line" ? lines(gathered, top) : columns(gathered, top);
  const grid = [0, 0.5].map((part) =>
    drawing("line", { x1: 0, x2: WIDTH, y1: 6 + part * (HEIGHT - 6), y2: 6 + part * (HEIGHT - 6), class: "grid" }),
  );
  const label = `${title}: ${headline}. ${words().admin.most} ${known.length ? print(Math.max(...known)) : "—"}`;
  const facts = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
  const hour = (seconds) =>
    new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
  return element(
    "figure",
    { dataset: { chart: name } },
    element("figcaption", {}, element("span", { text: title }), element("b", { text: headline })),
    element("div", { class: "plot" }, element("span", { class: "top", text: print(top) }), drawing("svg", facts, ...grid, ...marks)),
    element("div", { class: "hours" }, element("span", { text: at.length ? hour(at[0]) : "" }), element("span", { text: at.length ? hour(at.at(-1)) : "" })),
  );
}
