// Kept calls: found by filters, read turn by turn, heard with both voices on one line.

import { ask, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { asSignedIn } from "./sign-in.js";
import { clock, dollars } from "./ticker.js";
import { currentLanguage, words } from "./words.js";

const FILES = ["csv", "xlsx", "jsonl", "parquet", "zip"];
const SILENCE_S = 1; // skipped, where that is wanted, when nothing is said for longer
const FILTERS = ["text", "since", "until", "mode", "caller", "edge", "outcome", "min_s", "max_s", "tenant"];
const LINKED = ["id", "figure", "test", "parent", "user_id", "status", "processed", "sentiment", "intent", "topic", "alert"];
const DRAWN_MS = 30 * 60_000; // a longer call is heard and read; its waves would fill the memory

// Filters of the address that the form has no field for: the calls behind a figure, a moment, one call.
let linked = {};
let isRead = false;

let searches = 0;
let found = [];
let cursor = null;
let timeZone; // in which the house's days begin and end
let call = null;
let lines = [];
let waves = null;

const moment = (at) => new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeStyle: "short", timeZone }).format(new Date(at));

function wanted() {
  const given = new FormData(find("#filters"));
  const facts = { ...linked };
  for (const name of FILTERS) if (given.get(name)) facts[name] = given.get(name);
  return facts;
}

/** Put the filters of the address into the form; what it has no field for is kept beside it. */
function readAddress() {
  linked = {};
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = FILTERS.includes(name) ? find(`#filters [name='${name}']`) : null;
    if (field?.tagName === "SELECT" && ![...field.options].some((option) => option.value === value)) field.append(element("option", { value, text: value }));
    if (field) field.value = value;
    if (field ? field.value !== value : LINKED.includes(name)) linked[name] = value;
  }
}

async function load() {
  if (!isRead) readAddress();
  isRead = true;
  const { rights } = await ask("/v1/sign-in");
  find("#tenant").hidden = !rights.includes("tenants:all");
  await search();
}

async function search(next = null) {
  const facts = next ? { ...wanted(), cursor: next } : wanted();
  const mine = ++searches;
  const page = await ask(`/v1/calls?${new URLSearchParams(facts)}`);
  if (mine !== searches) return; // what was asked for since then is what is wanted
  found = next ? [...found, ...page.calls] : page.calls;
  cursor = page.cursor;
  timeZone = page.timezone;
}

async function searchAgain(next) {
  await search(next);
  draw(true);
}

/** A filter that holds, as a button that takes it off. */
function chipOf([name, value]) {
  const say = words().calls;
  const isMoment = name in linked && ["since", "until"].includes(name);
  const shown = isMoment ? moment(value) : name === "figure" ? figureName(value) : (say.modes[value] ?? say.edges[value] ?? say.flags[value] ?? value);
  const label = say[name] ?? say.linked[name] ?? name;
  const chip = element("button", { type: "button", text: `${label}: ${shown} ×`, "aria-label": say.without(label) });
  chip.addEventListener("click", () => {
    if (name in linked) delete linked[name];
    else find(`#filters [name='${name}']`).value = "";
    drawChips(); // now, not when the answer comes: by then the next chip may be pressed
    act(() => searchAgain());
  });
  return chip;
}

let chips = "";

/** The filters that count; drawn anew only where they are others, so that none loses the focus. */
function drawChips() {
  const given = wanted();
  const made = Object.entries(given).map(chipOf);
  const told = JSON.stringify(made.map((each) => [each.textContent, each.ariaLabel]));
  if (told === chips) return;
  chips = told;
  find("#all").hidden = made.length === 0;
  find("#active").replaceChildren(...made);
}

/** A figure of the dashboard, or the label under which its calls are counted. */
function figureName(part) {
  const say = words().dashboard;
  const [family, ...rest] = part.split(":");
  const label = rest.join(":");
  if (family === "slow") return say.slow(say.stages[rest[0]] ?? rest[0]);
  const labels = { outcome: say.outcomes, sentiment: say.levels, intent: say.intents, end: say.ends, alert: say.kinds, cost_uusd: say.components }[family] ?? {};
  return rest.length ? (labels[label] ?? label) : (say.parts[part] ?? part);
}

function legOf(each) {
  const leg = element("button", { type: "button", text: [moment(each.started_ms), words().calls.edges[each.edge] ?? each.edge, clock(each.duration_ms)].join(" · ") });
  leg.addEventListener("click", () => open(each.id));
  return leg;
}

const recordedAs = ({ from_ms, until_ms, stopped }) => `${clock(from_ms)}–${clock(until_ms)} (${words().calls.stopped[stopped]})`;

function row(each) {
  const say = words().calls;
  const facts = [say.modes[each.mode] ?? each.mode, say.turns(each.turns), each.interruptions ? say.cuts(each.interruptions) : null];
  if (each.cost_usd) facts.push(dollars(each.cost_usd));
  if (each.parent) facts.push(say.leg);
  const chip = each.status === "interrupted" ? "away" : each.sound_state === "stored" ? "ready" : "part";
  const made = element(
    "button",
    { type: "button", dataset: { call: each.id } },
    element("strong", { text: moment(each.started_ms) }),
    element("span", { class: "chip", text: clock(each.duration_ms) }),
    element("span", { class: "quiet", text: facts.filter(Boolean).join(" · ") }),
    element("span", { class: "chip", dataset: { state: chip }, text: say.states[each.status === "interrupted" ? "interrupted" : each.sound_state] }),
  );
  made.setAttribute("aria-current", String(call?.id === each.id));
  made.addEventListener("click", () => open(each.id));
  return element("li", {}, made);
}

/** What was said, in order: {at, until (s), side, text}, and what happened beside it. */
function linesOf(turns) {
  const made = [];
  for (const turn of turns) {
    if (turn.words) made.push({ at: turn.from_ms / 1000, until: turn.until_ms / 1000, side: "caller", text: turn.words });
    let latency = turn.latency_ms;
    for (const item of turn.items) {
      const text = item.heard_text.trim();
      const at = (item.starts_ms ?? turn.until_ms) / 1000;
      if (text) {
        made.push({ at, until: at + item.heard_ms / 1000, side: "penny", text, cut: turn.is_interrupted, latency });
        latency = null; // it is the turn's, told with its first answer
      }
    }
    for (const mark of turn.marks) made.push({ at: mark.at_ms / 1000, mark });
  }
  return made.sort((one, other) => one.at - other.at);
}

function lineOf(line) {
  const say = words().calls;
  if (line.mark) {
    const { kind, fields } = line.mark;
    const told = [clock(line.at * 1000), say.marks[kind] ?? kind, fields.name ?? fields.destination ?? fields.event];
    return element("li", {}, element("p", { text: told.filter(Boolean).join(" · ") }));
  }
  const made = element(
    "button",
    { type: "button" },
    element("time", { text: clock(line.at * 1000) }),
    element("b", { text: say.sides[line.side] }),
    element("span", { text: line.cut ? `${line.text} ✂` : line.text }),
    line.latency?.first_audio > 0 ? element("small", { text: stagesOf(line.latency) }) : "",
  );
  made.addEventListener("click", () => seek(line.at));
  line.button = made;
  return element("li", {}, made);
}

/** How long each stage took, as the record has it: from the end of the caller's speech. */
function stagesOf({ transcript, first_token: token, first_audio: audio }) {
  const told = [Math.max(0, transcript ?? 0), Math.max(0, (token ?? audio) - Math.max(0, transcript ?? 0)), Math.max(0, audio - (token ?? audio))];
  return words().calls.stages(audio, ...told);
}

const nextLine = (now) => lines.find((line) => line.button && line.at > now + 0.2);

function seek(at) {
  const player = find("#player");
  player.currentTime = Math.max(0, Math.min(at, player.duration || at));
  player.play().catch(() => {}); // the browser may want a gesture on the player itself
}

function follow() {
  const player = find("#player");
  const now = player.currentTime;
  let isSaid = false;
  for (const line of lines) {
    const isNow = line.at <= now && now < line.until;
    line.button?.setAttribute("aria-current", String(isNow));
    isSaid ||= isNow && Boolean(line.button);
  }
  const next = nextLine(now);
  if (find("#dense").checked && !player.paused && !isSaid && next && next.at - now > SILENCE_S) player.currentTime = next.at - 0.2;
  const waves = find("#waves");
  waves.setAttribute("aria-valuemax", String(Math.round(player.duration || 0)));
  waves.setAttribute("aria-valuenow", String(Math.round(now)));
  waves.setAttribute("aria-valuetext", clock(now * 1000));
  drawWaves();
}

const link = (text, href) => element("a", { href, text, download: "" });

function drawCall() {
  const say = words().calls;
  find("#call").hidden = call === null;
  if (call === null) return;
  const metrics = call.metrics;
  const took = (value) => (value === null || value === undefined ? "—" : `${Math.round(value)} ms`);
  find("#call-title").textContent = moment(call.started_at);
  const facts = [
    [say.duration, clock(metrics.duration_seconds * 1000)],
    [say.mode, call.modes.map((mode) => say.modes[mode] ?? mode).join(" → ")],
    [say.latency, took(metrics.total_latency_ms)],
    [say.interruptions, String(metrics.interruptions_count)],
    [say.cost, call.cost.total_usd ? dollars(call.cost.total_usd) : "—"],
    [say.end, call.end_reason ? (words().dashboard.ends[call.end_reason] ?? call.end_reason) : say.states.interrupted],
    [say.id, call.id],
  ];
  if (call.recorded.length) facts.push([say.recorded, call.recorded.map(recordedAs).join(", ")]);
  if (call.claims.length) facts.push([say.claims, call.claims.map(({ key }) => key).join(", ")]);
  if (call.pbx_recording) facts.push([say.pbx, call.pbx_recording]);
  find("#legs").replaceChildren(...(call.legs.length ? [element("span", { text: say.legs }), ...call.legs.map(legOf)] : []));
  find("#facts").replaceChildren(...facts.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
  const stored = call.sound.state === "stored";
  find("#sound").hidden = !stored;
  find("#no-sound").hidden = stored;
  find("#no-sound").textContent = say.noSound[call.sound.state] ?? "";
  find("#waves").setAttribute("aria-label", say.waves);
  find("#waves").setAttribute("aria-valuenow", "0");
  lines = linesOf(call.turns);
  find("#lines").replaceChildren(...lines.map(lineOf));
  const path = `/v1/calls/${encodeURIComponent(call.id)}`;
  const acts = [link(say.text_file, `${path}/transcript?format=text`), link("WebVTT", `${path}/transcript?format=vtt`), link("JSON", path), link("ZIP", `/v1/calls/export?${new URLSearchParams({ format: "zip", id: call.id })}`)];
  if (stored) acts.unshift(link(say.audio_file, `${path}/audio`));
  acts.push(element("button", { type: "button", text: call.held ? say.release : say.hold, onclick: hold }));
  acts.push(element("button", { type: "button", class: "danger", text: say.erase, onclick: erase }));
  find("#acts").replaceChildren(...acts);
}

async function decode(id) {
  const response = await asSignedIn(`/v1/calls/${encodeURIComponent(id)}/audio`);
  if (!response.ok) return;
  const context = new OfflineAudioContext(2, 1, 8000);
  const sound = await context.decodeAudioData(await response.arrayBuffer());
  if (call?.id !== id) return;
  waves = [0, 1].map((channel) => peaks(sound.getChannelData(Math.min(channel, sound.numberOfChannels - 1)), 600));
  drawWaves();
}

function peaks(samples, count) {
  const step = Math.max(1, Math.floor(samples.length / count));
  return Array.from({ length: count }, (_, index) => {
    let most = 0;
    for (let at = index * step; at < Math.min(samples.length, (index + 1) * step); at += 1) most = Math.max(most, Math.abs(samples[at]));
    return most;
  });
}

function drawWaves() {
  const canvas = find("#waves");
  const pen = canvas.getContext("2d");
  const colourOf = (name) => {
    canvas.style.color = `var(${name})`; // a canvas does not know light-dark()
    return getComputedStyle(canvas).color;
  };
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (waves === null) return;
  const colours = [colourOf("--verdigris"), colourOf("--copper")];
  const width = canvas.width / waves[0].length;
  waves.forEach((side, channel) => {
    pen.fillStyle = colours[channel];
    const middle = canvas.height * (channel === 0 ? 0.25 : 0.75);
    side.forEach((level, index) => {
      const height = Math.max(1, level * canvas.height * 0.46);
      pen.fillRect(index * width, middle - height / 2, Math.max(1, width - 0.5), height);
    });
  });
  const player = find("#player");
  if (player.duration) {
    pen.fillStyle = colourOf("--ink");
    pen.fillRect((player.currentTime / player.duration) * canvas.width, 0, 2, canvas.height);
  }
}

const open = (id) =>
  act(async () => {
    call = await ask(`/v1/calls/${encodeURIComponent(id)}`);
    waves = null;
    const player = find("#player");
    if (call.sound.state === "stored") player.src = `/v1/calls/${encodeURIComponent(id)}/audio`;
    else player.removeAttribute("src");
    draw(true);
    find("#call-title").focus();
    if (call.sound.state === "stored" && call.sound.duration_ms <= DRAWN_MS) await decode(id);
  });

const hold = () =>
  act(async () => {
    const held = !call.held;
    await ask(`/v1/calls/${encodeURIComponent(call.id)}/hold`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ held }) });
    call.held = held;
    drawCall();
  });

const erase = () =>
  act(async () => {
    if (!confirm(words().calls.confirm)) return;
    await ask(`/v1/calls/${encodeURIComponent(call.id)}`, { method: "DELETE" });
    call = null;
    find("#player").removeAttribute("src");
    await searchAgain();
  });

function draw(isOpen) {
  const say = words();
  document.title = `Penny · ${say.calls.title}`;
  for (const [name, told] of [["mode", say.calls.modes], ["edge", say.calls.edges]]) {
    const select = find(`#filters [name='${name}']`);
    const chosen = select.value;
    const names = new Set(["", ...Object.keys(told), chosen]);
    select.replaceChildren(...[...names].map((each) => element("option", { value: each, text: each ? (told[each] ?? each) : say.calls.any, selected: each === chosen })));
  }
  if (!isOpen) return;
  find("#count").textContent = say.calls.count(found.length, cursor !== null);
  const given = wanted();
  drawChips();
  find("#files").replaceChildren(...(found.length ? FILES : []).map((format) => link(format.toUpperCase(), `/v1/calls/export?${new URLSearchParams({ ...given, format })}`)));
  find("#calls").replaceChildren(...found.map(row));
  find("#more").hidden = cursor === null;
  drawCall();
  drawWaves();
}

find("#filters").addEventListener("submit", (submit) => {
  submit.preventDefault();
  act(() => searchAgain());
});
find("#filters").addEventListener("reset", () => {
  linked = {};
  setTimeout(() => act(() => searchAgain())); // once its fields are empty
});
find("#more").addEventListener("click", () => act(() => searchAgain(cursor)));
find("#player").addEventListener("timeupdate", follow);
for (const button of document.querySelectorAll("[data-skip]")) button.addEventListener("click", () => seek(find("#player").currentTime + Number(button.dataset.skip)));
find("#next").addEventListener("click", () => {
  const next = nextLine(find("#player").currentTime);
  if (next) seek(next.at);
});
find("#speed").addEventListener("change", (change) => {
  find("#player").playbackRate = Number(change.target.value);
});
find("#waves").addEventListener("keydown", (press) => {
  const player = find("#player");
  const to = { ArrowLeft: player.currentTime - 10, ArrowRight: player.currentTime + 10, Home: 0, End: player.duration }[press.key];
  if (to === undefined) return;
  press.preventDefault();
  seek(to);
});
find("#waves").addEventListener("click", (click) => {
  const box = click.currentTarget.getBoundingClientRect();
  const player = find("#player");
  if (player.duration) seek(((click.clientX - box.left) / box.width) * player.duration);
});

const act = openDesk({ load, draw });
