// What the calls come to: today, how it moved, what it is made of; each figure leads to its calls.

import { ask, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { clock, dollars } from "./ticker.js";
import { trend } from "./trend.js";
import { currentLanguage, number as numbers, words } from "./words.js";

const FILTERS = ["since", "until", "mode", "edge", "tenant", "test"];
const MAIN = ["resolution_rate", "escalation_rate", "avg_sentiment", "avg_latency"];
const FRESH_MS = 60_000; // figures of today are asked for anew
const ALERTS_MS = 5_000;
const ALERTS = 5; // that are told of
const RANGES = { today: 1, week: 7, month: 30, quarter: 90, year: 365 };

let found = null;
let alerts = [];
let known = null; // alerts that were shown before
let knownOf = ""; // which tenant's these are

const wanted = () => Object.fromEntries([...new URLSearchParams(location.search)].filter(([name, value]) => FILTERS.includes(name) && value));

// Of the tenant that is looked at, as the figures are.
const askAlerts = () => ask(`/metrics/alerts?${new URLSearchParams(Object.entries(wanted()).filter(([name]) => name === "tenant"))}`);

async function load() {
  const { rights } = await ask("/v1/sign-in");
  find("#tenant").hidden = !rights.includes("tenants:all");
  found = await ask(`/metrics/dashboard?${new URLSearchParams(wanted())}`);
  ({ calls: alerts } = await askAlerts());
  const { tenant = "" } = wanted();
  if (known === null || tenant !== knownOf) known = new Set(alerts.map(({ id }) => id));
  knownOf = tenant;
}

// -- how figures are written ------------------------------------------------------------------

const PRINT = {
  calls: (value) => numbers(value),
  share: (value) => numbers(value, { style: "percent", maximumFractionDigits: Math.abs(value) < 0.1 ? 1 : 0 }),
  s: (value) => clock(value * 1000),
  ms: (value) => (value < 1000 ? `${numbers(Math.round(value))} ms` : `${numbers(value / 1000, { maximumFractionDigits: 1 })} s`),
  score: (value) => numbers(value, { signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 2 }),
  usd: dollars,
  points: (value) => numbers(value, { maximumFractionDigits: 0 }),
};
const show = (unit, value) => (value === null || value === undefined ? "—" : PRINT[unit](value));

/** `2026-11`, `2026-11-30` or `2026-11-30T09:00+01:00`, as a person writes it. */
function moment(at, isLong = false) {
  if (at.length > 10) return at.slice(11, 16);
  const [year, month, day = 1] = at.split("-").map(Number);
  const form = at.length === 7 ? { month: isLong ? "long" : "short", year: "numeric" } : { day: "numeric", month: isLong ? "long" : "short", ...(isLong ? { year: "numeric" } : {}) };
  return new Intl.DateTimeFormat(currentLanguage(), { ...form, timeZone: "UTC" }).format(Date.UTC(year, month - 1, day));
}

/** The calls behind a figure: the page of calls with filters that find exactly those. */
function behind(figure, more = {}) {
  const { since, until } = found.range;
  const { mode, edge, tenant, test } = wanted();
  const facts = { since, until, mode, edge, tenant, test: test ?? "false", ...(figure === "calls" ? {} : { figure }), ...more };
  return `/calls?${new URLSearchParams(Object.entries(facts).filter(([, value]) => value))}`;
}

/** The calls of one moment of a series. */
function during(at) {
  if (at.length > 10) {
    const next = new Date(Date.parse(at) + 3_600_000).toISOString();
    return behind("calls", { since: new Date(at).toISOString(), until: next });
  }
  if (at.length === 10) return behind("calls", { since: at, until: at });
  const [year, month] = at.split("-").map(Number);
  const last = new Date(Date.UTC(year, month, 0)).toISOString().slice(0, 10);
  const { since, until } = found.range;
  return behind("calls", { since: `${at}-01` > since ? `${at}-01` : since, until: last < until ? last : until });
}

// -- figures ----------------------------------------------------------------------------------

function changeOf({ unit, value, previous, better }) {
  const say = words().dashboard;
  if (value === null || previous === null || (unit === "calls" && !previous)) return element("p", { text: say.noBefore });
  const isShare = unit === "share" || unit === "score";
  const change = isShare ? value - previous : previous ? value / previous - 1 : 0;
  const text = unit === "share" ? say.pointsMore(numbers(change * 100, { signDisplay: "exceptZero", maximumFractionDigits: 1 })) : unit === "score" ? PRINT.score(change) : numbers(change, { style: "percent", signDisplay: "exceptZero", maximumFractionDigits: 0 });
  const isNone = Math.abs(change) < (isShare ? 0.0005 : 0.005);
  const isBetter = better === "up" ? change > 0 : change < 0;
  const state = isNone || !better ? "same" : isBetter ? "better" : "worse";
  const told = isNone ? say.same : `${change > 0 ? "▲" : "▼"} ${text}`;
  return element("p", { dataset: { change: state } }, told, element("span", { class: "hidden", text: ` ${say.changes[state]}` }));
}

function figureOf(figure, kind = "") {
  const say = words().dashboard;
  const about = `about-${figure.name}`;
  const text = show(figure.unit, figure.value);
  const value = figure.value === null || !figure.behind ? element("span", { text }) : element("a", { href: behind(figure.behind), text, "aria-describedby": about });
  const base = [];
  if (figure.unit === "share" && figure.of) base.push(say.of(numbers(figure.n), numbers(figure.of)));
  else if (figure.of) base.push(say.over(numbers(figure.of), figure.name === "avg_latency"));
  const told = element("p", { text: base.join(" · ") });
  if (figure.unknown) told.append(base.length ? " · " : "", element("a", { href: behind(figure.behind_unknown), text: say.unknown(numbers(figure.unknown)) }));
  return element("div", { class: `figure ${kind}`, dataset: { figure: figure.name } }, element("h3", { text: say.figures[figure.name] }), element("p", { class: "value" }, value), changeOf(figure), told, element("p", { class: "about", id: about, text: say.about[figure.name] }));
}

function todayFigure() {
  const say = words().dashboard;
  const { today } = found.range;
  const href = behind("calls", { since: today, until: today });
  return element(
    "div",
    { class: "figure first", dataset: { figure: "total_calls_today" } },
    element("h3", { text: say.today }),
    element("p", { class: "value" }, element("a", { href, text: numbers(found.total_calls_today) })),
    element("p", { text: say.yesterday(numbers(found.yesterday_by_now)) }),
  );
}

function drawFigures() {
  const main = found.figures.filter(({ name }) => MAIN.includes(name));
  const rest = found.figures.filter(({ name }) => !MAIN.includes(name));
  find("#figures").replaceChildren(todayFigure(), ...main.map((each) => figureOf(each, "main")), element("hr"), ...rest.map((each) => figureOf(each)));
}

// -- trends -----------------------------------------------------------------------------------

function drawTrends() {
  const say = words().dashboard;
  const moments = found.series.map(({ at }) => ({ text: moment(at), href: during(at) }));
  const of = (name, unit, title = say.figures[name]) => ({ title, values: found.series.map((point) => point[name] ?? null), print: (value) => show(unit, value) });
  const summary = (title, values, print) => {
    const those = values.filter((value) => value !== null);
    return those.length ? say.summary(title, print(Math.min(...those)), print(Math.max(...those)), print(those.at(-1))) : `${title}: —.`;
  };
  const common = { moments, say: { asTable: say.asTable, moment: say.moments[found.range.grain], none: say.none, summary } };
  const made = [
    { name: "calls", title: say.figures.calls, lines: [of("calls", "calls")], kind: "columns" },
    { name: "latency", title: say.latency, lines: [of("p50", "ms", "p50"), of("p95", "ms", "p95"), of("p99", "ms", "p99")] },
    { name: "outcome", title: say.outcome, lines: [of("resolution_rate", "share"), of("escalation_rate", "share")], most: 1 },
    { name: "sentiment", title: say.figures.avg_sentiment, lines: [of("avg_sentiment", "score")], least: -1, most: 1 },
    { name: "corrections", title: say.understood, lines: [of("corrections", "share"), of("clarifications", "share"), of("interruptions", "share")] },
    { name: "cost", title: say.figures.cost, lines: [of("cost", "usd")], kind: "columns" },
  ];
  find("#trends").replaceChildren(...made.map((each) => trend({ ...each, ...common })));
}

// -- tables -----------------------------------------------------------------------------------

function csvOf(name, title) {
  const facts = new URLSearchParams(wanted());
  return element("a", { href: `/metrics/dashboard/${name}?${facts}`, download: "", text: "CSV", "aria-label": `CSV: ${title}` });
}

/** `columns`: [{head, cell(row) -> text or element, isName}]. */
function tableOf({ name, title, rows, columns, isBroad = false }) {
  const say = words().dashboard;
  const body = rows.length
    ? element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": title }, element("table", {}, element("thead", {}, element("tr", {}, ...columns.map(({ head, isName }) => element("th", { scope: "col", class: isName ? "name" : "", text: head })))), element("tbody", {}, ...rows.map((row) => element("tr", {}, ...columns.map(({ cell, isName }, n) => element(n ? "td" : "th", { class: isName ? "name" : "", ...(n ? {} : { scope: "row" }) }, cell(row))))))))
    : element("p", { class: "none", text: say.none });
  return element("div", { class: `table ${isBroad ? "broad" : ""}`, dataset: { table: name } }, element("div", {}, element("h3", { text: title }), rows.length ? csvOf(name, title) : ""), body);
}

function barOf(share) {
  const bar = element("i");
  bar.style.inlineSize = `${Math.round(100 * (share ?? 0))}%`;
  return element("span", { class: "track", "aria-hidden": "true" }, bar);
}

function labelTable(name, labels = {}) {
  const say = words().dashboard;
  const columns = [
    { head: say.label, isName: true, cell: ({ label }) => labels[label] ?? (label === "unknown" ? say.notKnown : label) },
    { head: say.calls, cell: ({ n, figure }) => (n ? element("a", { href: behind(figure), text: numbers(n) }) : "0") },
    { head: say.share, cell: ({ share }) => element("span", { class: "part", text: show("share", share) }, barOf(share)) },
    { head: say.before, cell: ({ previous }) => numbers(previous) },
  ];
  return tableOf({ name, title: say.tables[name], rows: found.tables[name], columns });
}

function latencyTable() {
  const say = words();
  const slow = (row, name) => element("a", { href: behind(row[`figure_${name}`], { mode: row.mode, edge: row.edge }), text: show("ms", row[name]) });
  const columns = [
    { head: say.dashboard.stage, isName: true, cell: ({ stage }) => say.dashboard.stages[stage] },
    { head: say.calls.mode, isName: true, cell: ({ mode }) => say.calls.modes[mode] ?? (mode || say.dashboard.every) },
    { head: say.calls.edge, isName: true, cell: ({ edge }) => say.calls.edges[edge] ?? (edge || say.dashboard.every) },
    { head: say.dashboard.turns, cell: ({ turns }) => numbers(turns) },
    ...["p50", "p95", "p99"].map((name) => ({ head: name, cell: (row) => slow(row, name) })),
    { head: say.dashboard.mean, cell: ({ mean }) => show("ms", mean) },
  ];
  // The whole of it is long: each stage of all ways, and of each way the sum of them.
  const rows = found.tables.latency;
  const isShort = ({ mode, edge, stage }) => (!mode && !edge) || stage === "total";
  const made = tableOf({ name: "latency", title: say.dashboard.tables.latency, rows: rows.filter(isShort), columns, isBroad: true });
  const rest = rows.filter((row) => !isShort(row));
  if (rest.length) {
    const table = tableOf({ name: "latency", title: say.dashboard.stagesOfWays, rows: rest, columns, isBroad: true });
    made.append(element("details", {}, element("summary", { text: say.dashboard.stagesOfWays }), table.lastChild));
  }
  return made;
}

function waysTable() {
  const say = words();
  const units = Object.fromEntries(found.figures.map(({ name, unit }) => [name, unit]));
  const names = ["calls", "resolution_rate", "escalation_rate", "avg_sentiment", "avg_latency", "avg_call_duration", "cost_per_call"];
  const columns = [
    { head: say.calls.mode, isName: true, cell: ({ mode, edge }) => element("a", { href: behind("calls", { mode, edge }), text: say.calls.modes[mode] ?? mode }) },
    { head: say.calls.edge, isName: true, cell: ({ edge }) => say.calls.edges[edge] ?? edge },
    ...names.map((name) => ({ head: say.dashboard.figures[name], cell: (row) => show(units[name], row[name]) })),
  ];
  return tableOf({ name: "ways", title: say.dashboard.tables.ways, rows: found.tables.ways, columns, isBroad: true });
}

function costTable() {
  const say = words().dashboard;
  const columns = [
    { head: say.label, isName: true, cell: ({ label }) => say.components[label] ?? label },
    { head: say.figures.cost, cell: ({ usd, figure }) => element("a", { href: behind(figure), text: dollars(usd) }) },
  ];
  return tableOf({ name: "cost", title: say.tables.cost, rows: found.tables.cost, columns });
}

function drawTables() {
  const say = words().dashboard;
  find("#tables").replaceChildren(
    latencyTable(),
    waysTable(),
    labelTable("outcomes", say.outcomes),
    labelTable("sentiment", say.levels),
    labelTable("intents", say.intents),
    labelTable("topics"),
    labelTable("ends", say.ends),
    labelTable("alerts", say.kinds),
    labelTable("rules"),
    costTable(),
  );
}

// -- alerts, as they come ---------------------------------------------------------------------

function drawAlerts() {
  const say = words();
  const when = (at) => new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeStyle: "short", timeZone: found.range.timezone }).format(new Date(at));
  const rows = alerts.map((each) => {
    const kinds = each.kinds.map((kind) => say.dashboard.kinds[kind] ?? kind).join(", ");
    const isNew = known !== null && !known.has(each.id);
    return element("li", { dataset: isNew ? { new: "" } : {} }, element("strong", {}, element("a", { href: `/calls?${new URLSearchParams({ id: each.id })}`, text: kinds || say.dashboard.alert })), element("span", { class: "quiet", text: [when(each.started_ms), say.calls.modes[each.mode] ?? each.mode, say.calls.edges[each.edge] ?? each.edge].join(" · ") }), each.reason ? element("span", { class: "why", text: say.dashboard.intents[each.reason] ?? say.dashboard.kinds[each.reason] ?? each.reason }) : "");
  });
  if (rows.length === ALERTS) rows.push(element("li", {}, element("a", { href: `/calls?${new URLSearchParams({ alert: "true", test: "false", ...(wanted().tenant ? { tenant: wanted().tenant } : {}) })}`, text: say.dashboard.allAlerts })));
  find("#alerts").replaceChildren(...(rows.length ? rows : [element("li", {}, element("p", { class: "quiet", text: say.dashboard.noAlerts }))]));
}

async function lookForAlerts() {
  if (document.hidden || found === null) return;
  const { calls } = await askAlerts();
  const fresh = calls.filter(({ id }) => !known.has(id));
  if (!fresh.length && calls.length === alerts.length) return;
  alerts = calls;
  drawAlerts();
  if (!fresh.length) return;
  find("#announced").textContent = words().dashboard.announced(fresh.length); // once, for who hears the page
  for (const { id } of fresh) known.add(id);
}

// -- the page ---------------------------------------------------------------------------------

function drawFilters() {
  const say = words();
  const given = wanted();
  for (const name of ["since", "until"]) find(`#filters [name='${name}']`).value = found?.range[name] ?? given[name] ?? "";
  for (const [name, told] of [["mode", say.calls.modes], ["edge", say.calls.edges]]) {
    const names = [...new Set(["", ...Object.keys(told), ...(given[name] ? [given[name]] : [])])];
    find(`#filters [name='${name}']`).replaceChildren(...names.map((each) => element("option", { value: each, text: each ? (told[each] ?? each) : say.calls.any, selected: each === (given[name] ?? "") })));
  }
  find("#filters [name='tenant']").value = given.tenant ?? "";
  find("#filters [name='test']").checked = given.test === "true";
  if (found === null) return;
  const { since, until, today } = found.range;
  const links = Object.entries(RANGES).map(([name, days]) => {
    const from = new Date(Date.parse(today) - (days - 1) * 86_400_000).toISOString().slice(0, 10);
    const { since: _since, until: _until, ...rest } = given;
    const facts = new URLSearchParams({ ...rest, since: from, until: today });
    const link = element("a", { href: `?${facts}`, text: say.dashboard.spans[name] });
    if (since === from && until === today) link.setAttribute("aria-current", "true");
    link.addEventListener("click", (click) => {
      if (click.ctrlKey || click.metaKey || click.shiftKey) return;
      click.preventDefault();
      go(facts);
    });
    return element("li", {}, link);
  });
  find("#ranges ul").replaceChildren(...links);
  const { before, timezone } = found.range;
  const told = [`${moment(since, true)} – ${moment(until, true)}`, say.dashboard.against(moment(before[0], true), moment(before[1], true)), timezone];
  if (found.is_counting) told.push(say.dashboard.counting);
  find("#told").textContent = told.join(" · ");
}

function draw(isOpen) {
  document.title = `Penny · ${words().dashboard.title}`;
  drawFilters();
  if (!isOpen) return;
  drawFigures();
  drawAlerts();
  drawTrends();
  drawTables();
}

const again = () =>
  act(async () => {
    await load();
    draw(true);
  });

function go(facts) {
  history.pushState(null, "", `?${facts}`);
  again();
}

find("#filters").addEventListener("submit", (submit) => {
  submit.preventDefault();
  go(new URLSearchParams([...new FormData(find("#filters"))].filter(([, value]) => value)));
});
addEventListener("popstate", again);
setInterval(() => lookForAlerts().catch(() => {}), ALERTS_MS); // what fails is told by the next load
setInterval(() => {
  if (!document.hidden && found !== null && found.range.until >= found.range.today && !document.querySelector("#trends details[open]")) again();
}, FRESH_MS);

const act = openDesk({ load, draw });
