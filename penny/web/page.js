// The talk page: the client, the controls, the transcript and the brain, joined.

import { Brain } from "./brain.js";
import { MicrophoneError, PennyClient } from "./client.js";
import { Coin } from "./coin.js";
import { element, find } from "./element.js";
import { MicrophoneCheck, explainMicrophone } from "./microphone.js";
import { Modes } from "./modes.js";
import { changeTheme, currentTheme, showTheme } from "./theme.js";
import { Ticker } from "./ticker.js";
import { Transcript } from "./transcript.js";
import { currentLanguage, speak, words } from "./words.js";

const talk = find("#talk");
const mute = find("#mute");
const stop = find("#interrupt");
const text = find("#text");
const problem = find("#problem");

const RETRY_MS = 2000;
const REFRESH_MS = 10000; // before a call: other engines may take over, or a mode come or go

const asked = new URLSearchParams(location.search).get("webrtc"); // always, never; else auto
const penny = new PennyClient({ webrtc: asked ?? "auto" });
const coin = new Coin(find("#coin"));
const modes = new Modes(find("#modes"), drawControls);
const check = new MicrophoneCheck((error) => complain(explainMicrophone(error), error.code));
const transcript = new Transcript(find("#transcript"), find("#empty"));
const brain = new Brain(find("#brain"));
const ticker = new Ticker();
let status = "ready"; // a word of words.js, or a function that makes the sentence
let notice = null;

function show(next) {
  status = next;
  const say = words();
  find("#status").textContent = typeof next === "function" ? next(say) : say[next];
  document.body.dataset.status = typeof next === "function" ? "waking" : next;
  coin.busy = ["connecting", "waking", "thinking", "reconnecting"].includes(document.body.dataset.status);
}

const idle = () => (penny.listening ? "listening" : "typing");

function complain(sentence, code = "") {
  problem.hidden = sentence === "";
  problem.dataset.code = code;
  problem.querySelector("p").textContent = sentence;
}

function drawControls() {
  const say = words();
  const { state } = penny;
  const busy = ["connecting", "open", "reconnecting"].includes(state);
  document.body.dataset.state = state;
  if (state === "open") document.body.dataset.view = "call";
  find("#talk-word").textContent = state === "connecting" ? say.cancel : busy ? say.hangUp : say.talk;
  talk.disabled = !busy && modes.chosen === null;
  mute.disabled = state !== "open" || !penny.listening;
  mute.setAttribute("aria-pressed", String(penny.muted));
  mute.textContent = penny.muted ? say.muted : say.mute;
  stop.disabled = document.body.dataset.status !== "speaking";
  find("#modes").disabled = busy;
  const told = (penny.session ? notice : modes.chosen?.notice)?.[currentLanguage()] ?? "";
  find("#notice").hidden = told === "";
  find("#notice").textContent = told;
  find("#theme").setAttribute("aria-label", say.themes[currentTheme()]);
  find("#theme").title = say.themes[currentTheme()];
  for (const tab of document.querySelectorAll("[data-show]")) {
    tab.setAttribute("aria-pressed", String(tab.dataset.show === document.body.dataset.tab));
  }
}

function drawExamples() {
  const buttons = modes.examples.map((text) => {
    const button = element("button", { type: "button", text });
    button.addEventListener("click", () => ask(text));
    return element("li", {}, button);
  });
  find("#examples ul").replaceChildren(...buttons);
  find("#examples").hidden = modes.examples.length === 0;
  find("#ears").textContent = modes.ears;
}

async function call({ microphone }) {
  check.stop();
  complain("");
  transcript.clear();
  notice = null;
  show("connecting");
  const mode = modes.chosen;
  const wishes = { mode: mode?.name, language: currentLanguage(), microphone };
  try {
    const session = await penny.start(wishes);
    ({ notice } = session);
    ticker.start(mode?.cost_per_minute_usd ?? null);
    showTab("talk");
    brain.open(session.capabilities.context_updates);
    show(idle());
  } catch (error) {
    show("ready");
    explain(error);
  }
  drawControls();
}

function explain(error) {
  const { problems } = words();
  if (error.code === "cancelled") return;
  if (error instanceof MicrophoneError) complain(explainMicrophone(error), error.code);
  else if (error.code === "connection_lost") complain(problems.unreachable, error.code);
  else complain(tell("errors", error), error.code);
  if (error.code?.startsWith("mode_")) loadModes(); // what is available has changed
}

/** The page's own words for a server's code; what a later server says of one that is new to it. */
function tell(table, { code, message }) {
  console.info(`${code}: ${message}`);
  return words()[table][code] ?? (code ? message : words().problems.page);
}

async function loadModes() {
  try {
    const news = await modes.load();
    if (modes.chosen === null) {
      complain(words().noMode, "no_mode");
      setTimeout(loadModes, RETRY_MS); // a worker may be loading its models
    } else if (["no_mode", "modes"].includes(problem.dataset.code)) {
      complain("");
    }
    if (!news) return;
  } catch (error) {
    complain(words().problems.modes, "modes");
    console.warn(error);
  }
  if (penny.state === "idle") show(modes.chosen === null ? "noMode" : "ready");
  drawExamples();
  drawControls();
}

/** What the call is doing now, in the one line under the button. */
function follow(event) {
  const next = {
    speech_started: "hearing",
    speech_stopped: "thinking",
    audio_started: "speaking",
    interruption: status === "hearing" ? undefined : idle(), // the caller's voice said so first
    // A turn can end without a sound: nothing to answer, or a stage that failed.
    turn_metrics: status === "thinking" ? idle() : undefined,
    error: status === "thinking" ? idle() : undefined,
  }[event.type];
  if (next !== undefined && penny.state === "open") show(next);
  drawControls();
}

function showTab(tab) {
  document.body.dataset.tab = tab;
  document.body.dataset.news = "";
  drawControls();
}

const on = (type, handle) => penny.addEventListener(type, ({ detail }) => handle(detail));

on("state", ({ state }) => {
  if (state === "reconnecting") show("reconnecting");
  drawControls();
});
on("message", follow);
on("transcript_delta", (event) => transcript.delta(event));
on("transcript_final", (event) => transcript.final(event));
on("transcript_heard", (event) => transcript.heard(event));
on("interruption", (event) => transcript.interruption(event));
on("turn_metrics", (event) => {
  transcript.metrics(event);
  ticker.turn(event);
});
on("context_update", (event) => brain.folio(event));
on("correction", (event) => {
  transcript.correction(event);
  brain.correction(event);
});
on("tool_call", (event) => brain.action(event));
on("handoff", (event) => {
  transcript.remark("handoff", words().handoff, event.summary);
  brain.handoff(event);
});
on("cost", (event) => {
  ticker.cost(event);
  brain.cost(event);
});
on("warning", (event) => event.field === "mode" && complain(tell("warnings", event), event.code));
on("mode_changed", ({ mode, privacy, capabilities }) => {
  complain(privacy, "mode_changed");
  ticker.reprice(modes.named(mode)?.cost_per_minute_usd ?? null);
  brain.open(capabilities.context_updates);
});
on("error", (event) => penny.state === "open" && complain(tell("errors", event), event.code));
on("session_progress", ({ stage, message, eta_ms }) => {
  if (stage === "ready") show(idle());
  else show(eta_ms === null ? () => message : (say) => say.waking(Math.ceil(eta_ms / 1000)));
});
on("reconnected", ({ resumed }) => {
  transcript.remark("line", resumed ? words().resumed : words().anew);
  show(idle());
  drawControls();
});
on("sound", ({ on }) => {
  if (!on) complain(words().problems.soundStopped, "sound");
  else if (problem.dataset.code === "sound") complain("");
});
on("microphone_lost", () => complain(words().problems.microphoneLost, "microphone_lost"));
on("congested", () => complain(words().problems.congested, "congested"));
on("played", ({ ended }) => {
  if (!ended || document.body.dataset.status !== "speaking") return;
  show(idle());
  drawControls();
});
on("session_ended", ({ reason, message, totals }) => {
  if (totals.turns > 0) transcript.remark("line", words().ended, words().totals(totals));
  if (totals.usd !== null) ticker.cost({ usd_total: totals.usd });
  const why = words().ends[reason] ?? message ?? "";
  if (why && reason !== "client_ended") complain(why, reason);
});
on("closed", ({ expected }) => {
  show("ended");
  ticker.stop();
  coin.hush();
  if (!expected) complain(words().problems.lost, "lost");
  drawControls();
  loadModes(); // what was measured has changed
});
on("level", ({ input, output }) => coin.hear({ input: penny.muted && input ? 0 : input, output }));

talk.addEventListener("click", () => {
  if (["connecting", "open", "reconnecting"].includes(penny.state)) penny.end();
  else call({ microphone: true });
});
stop.addEventListener("click", () => penny.interrupt());
mute.addEventListener("click", () => {
  penny.muted = !penny.muted;
  drawControls();
});

/** Say it in writing; begins a call without a microphone where there is none. */
async function ask(written) {
  const said = written.trim();
  if (said === "" || penny.state === "connecting" || penny.state === "reconnecting") return;
  if (penny.state !== "open" && modes.chosen === null) return;
  if (penny.state !== "open") await call({ microphone: false });
  if (penny.state !== "open") return; // the sentence stays in its field
  text.value = "";
  text.focus({ preventScroll: true });
  penny.sendText(said);
  show("thinking");
}
find("#typed").addEventListener("submit", (submit) => {
  submit.preventDefault();
  ask(text.value);
});
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && !stop.disabled) penny.interrupt();
});
// Who leaves the page hangs up: else Penny would wait for a return.
addEventListener("pagehide", () => penny.end());
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    loadModes();
    check.draw();
    brain.draw();
    ticker.draw();
    show(status);
    drawControls();
  });
}
for (const tab of document.querySelectorAll("[data-show]")) {
  tab.addEventListener("click", () => showTab(tab.dataset.show));
}
find("#theme").addEventListener("click", () => {
  changeTheme();
  coin.wake();
  drawControls();
});

setInterval(() => {
  if (document.body.dataset.view === "lobby" && penny.state === "idle" && !document.hidden) loadModes();
}, REFRESH_MS);

showTheme();
speak();
show("connecting");
loadModes();
