// The operator's page: what is live, what it costs, what went wrong; look in, hang up.

import { chart } from "./chart.js";
import { ask, checked, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { reason } from "./faults.js";
import { Look } from "./look.js";
import { asSignedIn } from "./sign-in.js";
import { clock, dollars } from "./ticker.js";
import { currentLanguage, number, words } from "./words.js";

const POLL_MS = 1000;

const look = new Look();
let hours = 3;
let overview = null;
let sessions = [];

const ms = (value) => (value === null || value === undefined ? "—" : `${Math.round(value)} ms`);
const last = (values) => values.findLast((value) => value !== null) ?? null;
const total = (values) => values.reduce((sum, value) => sum + (value ?? 0), 0);

function drawCharts() {
  const say = words().admin;
  const { series } = overview;
  const kept = Math.ceil((hours * 3600) / series.step_s);
  const cut = (values) => values.slice(-kept);
  const at = cut(series.at);
  const usd = total(cut(series.usd));
  const errors = total(cut(series.errors));
  const latest = last(series.latency_p50_ms);
  const figures = [
    { name: "sessions", title: say.live, values: series.sessions, how: "mean", kind: "line", print: (n) => number(n, { maximumFractionDigits: 1 }), headline: String(sessions.length) },
    { name: "latency", title: say.latency, values: series.latency_p50_ms, how: "mean", kind: "line", print: ms, headline: ms(latest) },
    { name: "errors", title: say.errorCount, values: series.errors, how: "sum", kind: "columns", print: String, headline: String(errors) },
    { name: "usd", title: say.spent, values: series.usd, how: "sum", kind: "columns", print: dollars, headline: dollars(usd) },
  ];
  const drawn = figures.map((figure) => chart({ ...figure, values: cut(figure.values), at }));
  find("#charts").replaceChildren(...drawn);
  for (const button of document.querySelectorAll("[data-hours]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.hours) === hours));
  }
}

function row(session) {
  const say = words().admin;
  const live = overview?.live[session.session_id] ?? {};
  const state = live.state ?? "unknown";
  const p50 = live.latency_ms?.p50 ?? null;
  const p95 = live.latency_ms?.p95 ?? null;
  const usd = session.usd ?? live.usd ?? null;
  const seconds = session.duration_s ?? null;
  const cell = (name, ...content) => element("td", { dataset: { name: say.columns[name] } }, ...content);
  const alerts = (live.alerts ?? []).map(({ kind, turns }) =>
    element("span", { class: "chip", dataset: { state: "alert" }, title: turns.join(", "), text: say.alerts[kind] ?? kind }),
  );
  const button = (word, act) => {
    const made = element("button", { type: "button", text: say[word], "aria-label": `${say[word]}: ${session.session_id}` });
    made.dataset.act = word;
    made.addEventListener("click", act);
    return made;
  };
  return element(
    "tr",
    { dataset: { session: session.session_id } },
    element("th", { scope: "row" }, element("code", { text: session.session_id })),
    cell("state", element("span", { class: "chip", dataset: { state }, text: say.states[state] ?? state }), ...alerts),
    cell("mode", session.mode, element("small", { text: session.edge ?? "" })),
    cell("tenant", session.tenant ?? "—"),
    cell("duration", seconds === null ? "—" : clock(seconds * 1000)),
    cell("turns", String(live.turns ?? session.turns ?? "—")),
    cell("latency", p50 === null ? "—" : `${Math.round(p50)} / ${ms(p95)}`),
    cell("usd", usd === null ? "—" : dollars(usd)),
    element("td", { class: "acts" }, button("lookIn", () => look.open(session.session_id)), button("hangUp", () => hangUp(session.session_id))),
  );
}

function drawSessions() {
  const say = words().admin;
  find("#no-sessions").hidden = sessions.length > 0;
  find("#sessions").parentElement.hidden = sessions.length === 0;
  // A row under the pointer or the focus must not be torn away by the next poll.
  const focused = document.activeElement?.closest?.("tr")?.dataset.session;
  const act = document.activeElement?.dataset?.act;
  const names = ["id", "state", "mode", "tenant", "duration", "turns", "latency", "usd"];
  const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col", text: say.columns[name] })));
  head.append(element("td"));
  const body = element("tbody", {}, ...sessions.map(row));
  find("#sessions").replaceChildren(element("thead", {}, head), body);
  if (focused) body.querySelector(`[data-session="${CSS.escape(focused)}"] [data-act="${act}"]`)?.focus();
}

function drawModes() {
  const say = words().admin;
  const rows = overview.modes.map((mode) => {
    const state = mode.available ? "ready" : "away";
    const chip = element("span", { class: "chip", dataset: { state }, text: say.readiness[state] });
    const count = say.counts(mode.live, mode.started);
    const line = element("li", {}, element("strong", { text: mode.label ?? mode.name }), chip, element("span", { class: "quiet", text: count }));
    const why = [mode.reason, mode.remedy].filter(Boolean).join(" · ");
    if (why) line.append(element("p", { class: "why", text: why }));
    for (const worker of mode.workers ?? []) {
      const facts = [worker.name, worker.state, worker.detail].filter(Boolean).join(" · ");
      line.append(element("p", { class: "worker" }, element("code", { text: facts })));
    }
    return line;
  });
  find("#modes").replaceChildren(...rows);
}

function drawErrors() {
  find("#no-errors").hidden = overview.errors.length > 0;
  const when = new Intl.DateTimeFormat(currentLanguage(), { timeStyle: "medium" });
  const rows = overview.errors.map(({ at, code, message, mode, session_id }) => {
    const time = element("time", { text: when.format(at * 1000) });
    const where = element("span", { class: "quiet", text: [mode, session_id].filter(Boolean).join(" · ") });
    return element("li", {}, time, element("code", { text: code }), element("span", { text: message ?? "" }), where);
  });
  find("#errors").replaceChildren(...rows);
}

function draw() {
  const say = words();
  look.draw();
  drawSessions();
  if (overview === null) return; // who sees one tenant's calls does not see the house
  const { ready, reasons, degraded = [] } = overview.readiness;
  const state = ready ? say.admin.ready : say.admin.notReady;
  const why = [...reasons, ...degraded].map(reason).join(", ");
  find("#health").textContent = why ? `${state}: ${why}` : state;
  find("#health").dataset.ready = String(ready);
  drawCharts();
  drawModes();
  drawErrors();
}

const hangUp = (id) =>
  act(async () => {
    if (!confirm(words().admin.confirm(id))) return;
    const path = `/admin/v1/sessions/${encodeURIComponent(id)}/hang-up`;
    await checked(path, await asSignedIn(path, { method: "POST" }));
    await load();
    draw();
  });

/** The figures of the house; null for who may not see them. */
async function askOverview() {
  const path = `/admin/v1/overview?language=${currentLanguage()}`;
  const response = await asSignedIn(path);
  return response.status === 403 ? null : (await checked(path, response)).json();
}

async function load() {
  [overview, { sessions }] = await Promise.all([askOverview(), ask("/admin/v1/sessions")]);
}

for (const button of document.querySelectorAll("[data-hours]")) {
  button.addEventListener("click", () => {
    hours = Number(button.dataset.hours);
    if (overview !== null) drawCharts();
  });
}

const act = openDesk({ load, draw, pollMs: POLL_MS });
