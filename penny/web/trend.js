// A trend: lines or columns over the days, and the same figures as a table beside it.

import { ceiling } from "./chart.js";
import { drawing, element } from "./element.js";

const WIDTH = 600;
const HEIGHT = 160;

function scale(values, { least = 0, most }) {
  const known = values.filter((value) => value !== null);
  const top = most ?? ceiling(Math.max(0, ...known));
  return { top, y: (value) => HEIGHT - ((value - least) / (top - least)) * HEIGHT };
}

function line(values, index, y) {
  const x = (n) => (values.length < 2 ? WIDTH / 2 : (n * WIDTH) / (values.length - 1));
  const runs = []; // unbroken stretches of known values
  values.forEach((value, n) => {
    if (value === null) return;
    if (n === 0 || values[n - 1] === null) runs.push([]);
    runs.at(-1).push(`${x(n).toFixed(1)} ${y(value).toFixed(1)}`);
  });
  return runs.map((run) => {
    const facts = { "data-line": index };
    if (run.length === 1) return drawing("path", { ...facts, class: "dot", d: `M ${run[0]} h .01` });
    return drawing("path", { ...facts, class: "line", d: `M ${run.join(" L ")}` });
  });
}

function columns(values, y) {
  const step = WIDTH / values.length;
  const width = Math.min(48, Math.max(1, step * 0.72));
  return values.map((value, n) => {
    const height = value ? Math.max(1.5, HEIGHT - y(value)) : 0;
    return drawing("rect", { x: (n * step + (step - width) / 2).toFixed(1), y: (HEIGHT - height).toFixed(1), width: width.toFixed(1), height: height.toFixed(1), class: "column" });
  });
}

const key = (index) => drawing("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" }, drawing("path", { d: "M 0 4 H 26", class: "line", "data-line": index }));

/**
 * `lines`: [{title, values, print}], unknown values null; `moments`: [{text, href}] as many as values.
 * `kind`: "line" | "columns". `say`: {asTable, moment, none, summary(title, first, last, most)}.
 */
export function trend({ name, title, lines, moments, kind = "line", least, most, say }) {
  const all = lines.flatMap(({ values }) => values);
  const print = lines[0].print;
  const isEmpty = all.every((value) => value === null || (kind === "columns" && value === 0));
  const { top, y } = scale(all, { least, most });
  const marks = kind === "columns" ? columns(lines[0].values, y) : lines.flatMap(({ values }, index) => line(values, index, y));
  const grid = [0, 0.5, 1].map((part) => drawing("line", { x1: 0, x2: WIDTH, y1: part * HEIGHT, y2: part * HEIGHT, class: "grid" }));
  const label = `${title}. ${lines.map((each) => say.summary(each.title, each.values, each.print)).join(" ")}`;
  const legend = lines.length > 1 ? element("div", { class: "legend" }, ...lines.map((each, index) => element("span", {}, key(index), each.title))) : null;
  const heads = [say.moment, ...lines.map((each) => each.title)];
  const rows = moments.map(({ text, href }, n) =>
    element("tr", {}, element("th", { class: "name", scope: "row" }, element("a", { href, text })), ...lines.map((each) => element("td", { text: each.values[n] === null ? "—" : each.print(each.values[n]) }))),
  );
  const table = element("table", {}, element("caption", { class: "hidden", text: title }), element("thead", {}, element("tr", {}, ...heads.map((text, n) => element("th", { scope: "col", class: n ? "" : "name", text })))), element("tbody", {}, ...rows));
  const shown = isEmpty
    ? [element("p", { class: "none", text: say.none })]
    : [
        element("div", { class: "canvas" }, drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...grid, ...marks), element("span", { class: "top", text: print(top) }), element("span", { class: "bottom", text: print(least ?? 0) })),
        element("div", { class: "ticks" }, ...ticks(moments)),
        element("details", {}, element("summary", { text: say.asTable }), element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": `${title}: ${say.moment}` }, table)),
      ];
  return element("figure", { class: "trend", dataset: { trend: name } }, element("figcaption", {}, element("h3", { text: title }), legend), ...shown);
}

/** The first moment, the middle and the last. */
function ticks(moments) {
  const at = moments.length > 2 ? [0, moments.length >> 1, moments.length - 1] : moments.map((_, n) => n);
  return at.map((n) => element("span", { text: moments[n].text }));
}
