// What is tried on a share of the calls: each arm, its difference to the control, and its end.

import { ask, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { reason } from "./faults.js";
import { currentLanguage, words } from "./words.js";

let experiments = [];
let mayStop = false;

async function load() {
  const { rights } = await ask("/v1/sign-in");
  mayStop = rights.includes("house:write");
  ({ experiments } = await ask("/v1/experiments"));
}

const number = (value, options) => (value === null ? "—" : new Intl.NumberFormat(currentLanguage(), { maximumSignificantDigits: 4, ...options }).format(value));
const signed = (value) => number(value, { signDisplay: "exceptZero" });
const moment = (at) => new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(at));

const stop = (each) =>
  act(async () => {
    const say = words().experiments;
    if (!confirm(say.confirm(each.name))) return;
    await ask(`/v1/experiments/${encodeURIComponent(each.name)}/stop`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
    await load();
    draw(true);
    find("#told").textContent = say.stopped(each.name);
  });

const CHIPS = { better: "ready", worse: "away", open: "part", waiting: "part" };

function armRow(arm) {
  const say = words().experiments;
  const changes = Object.entries(arm.changes).map(([key, value]) => `${key}: ${value.length > 60 ? `${value.slice(0, 60)}…` : value}`);
  const link = element("a", { href: `/calls?${new URLSearchParams({ figure: arm.figure, test: "false" })}`, text: number(arm.calls) });
  const verdict = arm.is_control ? say.control : element("span", { class: "chip", dataset: { state: CHIPS[arm.verdict] }, text: say.verdicts[arm.verdict] });
  const between = arm.interval === null ? "—" : arm.interval.map(signed).join(" … ");
  return element(
    "tr",
    {},
    element("th", { scope: "row", class: "name", text: arm.name }),
    element("td", { class: "name", text: changes.join(", ") || say.same }),
    element("td", {}, arm.calls ? link : "0"),
    ...[number(arm.n), number(arm.mean), signed(arm.difference), between].map((text) => element("td", { text })),
    element("td", {}, verdict),
  );
}

function experimentOf(each) {
  const say = words().experiments;
  const state = each.stopped ? "stopped" : each.enabled ? "runs" : "disabled";
  const heads = [say.arm, say.changes, say.calls, say.count, say.mean, say.difference, say.interval, say.verdict];
  const facts = [[say.metric, say.metrics[each.metric]], [say.unit, say.units[each.unit]], [say.least, number(each.min_n)], [say.phase, each.phase]];
  const made = element(
    "section",
    { class: "experiment", "aria-label": each.name },
    element("h2", {}, each.name, " ", element("span", { class: "chip", dataset: { state: { runs: "ready", stopped: "away", disabled: "part" }[state] }, text: say.states[state] })),
    element("dl", { class: "terms" }, ...facts.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value })))),
    ...(each.stopped ? [element("p", { class: "quiet", text: say.why(reason(each.stopped.reason), moment(each.stopped.at_ms)) })] : []),
    ...each.warnings.map((warning) => element("p", { class: "warning", text: say.warnings[warning] })),
    element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": `${each.name}: ${say.arm}` }, element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((text, n) => element("th", { scope: "col", class: n < 2 ? "name" : "", text })))), element("tbody", {}, ...each.arms.map(armRow)))),
  );
  if (state === "runs" && mayStop) made.append(element("p", { class: "acts" }, element("button", { type: "button", class: "danger", text: say.stop, "aria-label": `${say.stop}: ${each.name}`, onclick: () => stop(each) })));
  return made;
}

function draw(isOpen) {
  const say = words().experiments;
  document.title = `Penny · ${say.title}`;
  if (!isOpen) return;
  find("#experiments").replaceChildren(...(experiments.length ? experiments.map(experimentOf) : [element("p", { class: "none", text: say.none })]));
}

const act = openDesk({ load, draw });
