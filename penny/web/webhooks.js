// Who is told of calls, how they fare, and what was told: a test, a replay, an endpoint told again.

import { ask, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { currentLanguage, words } from "./words.js";

const TYPES = ["call.started", "call.ended", "call.failed", "turn.completed", "alert.raised", "handoff.requested", "recording.ready", "analysis.completed", "endpoint.disabled"];
const STATES = ["waiting", "delivered", "dead", "withheld"];
const CHIPS = { waiting: "part", delivered: "ready", dead: "away", withheld: "part" };

let endpoints = [];
let found = [];
let before = null;

const moment = (at) => new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "short", timeStyle: "medium" }).format(new Date(at));
const post = (path, body) => ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

function wanted() {
  return Object.fromEntries([...new FormData(find("#filters"))].filter(([, value]) => value));
}

async function search(from = null) {
  const facts = from ? { ...wanted(), before: from } : wanted();
  const page = await ask(`/v1/webhooks/deliveries?${new URLSearchParams(facts)}`);
  found = from ? [...found, ...page.deliveries] : page.deliveries;
  before = page.before;
}

async function load() {
  ({ endpoints } = await ask("/v1/webhooks"));
  await search();
}

const loadAgain = () =>
  act(async () => {
    await load();
    draw(true);
  });

/** What a receiver answered: its status, or why there was none. */
const answerOf = ({ error, status }) => (error ? (words().webhooks.answers[error] ?? error) : String(status));

/** Say what came of it, where it is seen and read aloud. */
function tell(text) {
  find("#told").textContent = text;
}

const button = (text, does, danger = false) => element("button", { type: "button", class: danger ? "danger" : "", text, onclick: () => act(does) });

const test = (name) => async () => {
  tell(words().webhooks.sending(name));
  const answer = await post(`/v1/webhooks/${encodeURIComponent(name)}/test`, {});
  tell(words().webhooks.tested(name, answer.ok, answerOf(answer), answer.took_ms));
};

const enable = (name, sendMissed) => async () => {
  const { deliveries } = await post(`/v1/webhooks/${encodeURIComponent(name)}/enable`, { send_missed: sendMissed });
  tell(words().webhooks.enabled(name, deliveries, sendMissed));
  await load();
  draw(true);
};

function endpointRow(each) {
  const say = words().webhooks;
  const isOff = each.disabled_ms !== null;
  const state = isOff ? "away" : each.failing_since_ms !== null ? "part" : "ready";
  const facts = [each.types.length ? each.types.join(", ") : say.every, say.payloads[each.payload], each.tenants.join(", ")];
  const made = element(
    "li",
    {},
    element("strong", { text: each.name }),
    element("span", { class: "chip", dataset: { state }, text: say.health[state] }),
    element("span", { class: "quiet", text: each.url }),
    element("p", { class: "quiet", text: facts.filter(Boolean).join(" · ") }),
  );
  const waits = each.waiting ? say.waits(each.waiting, moment(each.oldest_ms)) : "";
  for (const why of [isOff ? say.why[each.reason] : "", waits, each.hears_private ? "" : say.notPrivate]) if (why) made.append(element("p", { class: "why", text: why }));
  const acts = element("p", { class: "acts" }, button(say.test, test(each.name)));
  if (isOff) acts.append(button(say.enableSend, enable(each.name, true)), button(say.enableDrop, enable(each.name, false), true));
  made.append(acts);
  return made;
}

const replay = (each) => async () => {
  await post("/v1/webhooks/replay", { event_id: each.event_id, endpoint: each.endpoint });
  tell(words().webhooks.replayed(each.event_id));
  await load();
  draw(true);
};

function deliveryRow(each) {
  const say = words().webhooks;
  const made = element(
    "li",
    {},
    element("strong", { text: each.type }),
    element("span", { class: "chip", dataset: { state: CHIPS[each.state] }, text: say.states[each.state] }),
    element("span", { class: "quiet", text: [moment(each.at_ms), each.endpoint, each.call_id].filter(Boolean).join(" · ") }),
  );
  if (each.log.length) {
    const tries = each.log.map((line) => {
      return element("li", {}, `${moment(line.at_ms)} · ${answerOf(line)} · ${line.took_ms} ms `, line.answer ? element("code", { text: line.answer }) : null);
    });
    made.append(element("details", {}, element("summary", { text: say.tries(each.log.length) }), element("ol", { class: "tries" }, ...tries)));
  }
  if (each.state !== "waiting" && each.state !== "withheld") made.append(element("p", { class: "acts" }, button(say.again, replay(each))));
  return made;
}

function choices(name, values, label) {
  const select = find(`[name='${name}']`);
  const chosen = select.value;
  select.replaceChildren(...["", ...values].map((value) => element("option", { value, text: value ? label(value) : words().webhooks.any, selected: value === chosen })));
}

function draw(isOpen) {
  const say = words().webhooks;
  document.title = `Penny · ${say.title}`;
  choices("endpoint", endpoints.map((each) => each.name), (name) => name);
  choices("type", TYPES, (type) => type);
  choices("state", STATES, (state) => say.states[state]);
  if (!isOpen) return;
  find("#endpoints").replaceChildren(...endpoints.map(endpointRow));
  if (!endpoints.length) find("#endpoints").replaceChildren(element("li", {}, element("p", { text: say.none })));
  find("#count").textContent = say.count(found.length, before !== null);
  find("#deliveries").replaceChildren(...found.map(deliveryRow));
  find("#more").hidden = before === null;
}

find("#filters").addEventListener("submit", (submit) => {
  submit.preventDefault();
  loadAgain();
});
find("#more").addEventListener("click", () =>
  act(async () => {
    await search(before);
    draw(true);
  }),
);

const act = openDesk({ load, draw });
