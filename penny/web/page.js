// The talk page: the client, the controls and the transcript, joined.

import { MicrophoneError, PennyClient } from "./client.js";
import { Modes } from "./modes.js";
import { Transcript } from "./transcript.js";
import { currentLanguage, speak, words } from "./words.js";

const find = (selector) => document.querySelector(selector);
const talk = find("#talk");
const mute = find("#mute");
const stop = find("#interrupt");
const text = find("#text");
const problem = find("#problem");

const penny = new PennyClient();
const modes = new Modes(find("#modes"));
const transcript = new Transcript(find("#transcript"), find("#empty"));
let status = "ready"; // a word of words.js, or a function that makes the sentence
let notice = null;

function show(next) {
  status = next;
  const say = words();
  find("#status").textContent = typeof next === "function" ? next(say) : say[next];
  document.body.dataset.status = typeof next === "function" ? "waking" : next;
}

function complain(sentence, code = "") {
  problem.hidden = sentence === "";
  problem.dataset.code = code;
  problem.querySelector("p").textContent = sentence;
}

function drawControls() {
  const say = words();
  const { state } = penny;
  document.body.dataset.state = state;
  find("#talk-word").textContent = { connecting: say.cancel, open: say.hangUp }[state] ?? say.talk;
  const busy = state === "connecting" || state === "open";
  talk.disabled = !busy && modes.chosen === null;
  mute.disabled = state !== "open" || !penny.listening;
  mute.setAttribute("aria-pressed", String(penny.muted));
  mute.textContent = penny.muted ? say.muted : say.mute;
  stop.disabled = document.body.dataset.status !== "speaking";
  find("#modes").disabled = busy;
  find("#notice").hidden = notice === null;
  find("#notice").textContent = notice?.[currentLanguage()] ?? "";
}

async function call({ microphone }) {
  complain("");
  transcript.clear();
  notice = null;
  show("connecting");
  const wishes = { mode: modes.chosen?.name, language: currentLanguage(), microphone };
  try {
    const session = await penny.start(wishes);
    ({ notice } = session);
    show(penny.listening ? "listening" : "typing");
  } catch (error) {
    show("ready");
    explain(error);
  }
  drawControls();
}

function explain(error) {
  const { problems } = words();
  if (error.code === "cancelled") return;
  if (error instanceof MicrophoneError) complain(problems[error.code], error.code);
  else if (error.code === "connection_lost") complain(problems.unreachable, error.code);
  else complain(error.message, error.code);
  if (error.code?.startsWith("mode_")) loadModes(); // what is available has changed
}

async function loadModes() {
  try {
    await modes.load();
    if (modes.chosen === null) complain(words().noMode, "no_mode");
  } catch (error) {
    complain(words().problems.modes, "modes");
    console.warn(error);
  }
  if (penny.state === "idle") show("ready");
  drawControls();
}

/** What the call is doing now, in the one line under the button. */
function follow(event) {
  const idle = penny.listening ? "listening" : "typing";
  const next = {
    speech_started: "hearing",
    speech_stopped: "thinking",
    audio_started: "speaking",
    interruption: status === "hearing" ? undefined : idle, // the caller's voice said so first
    // A turn can end without a sound: nothing to answer, or a stage that failed.
    turn_metrics: status === "thinking" ? idle : undefined,
    error: status === "thinking" ? idle : undefined,
  }[event.type];
  if (next !== undefined && penny.state === "open") show(next);
  drawControls();
}

const on = (type, handle) => penny.addEventListener(type, ({ detail }) => handle(detail));

on("state", drawControls);
on("message", follow);
on("transcript_delta", (event) => transcript.delta(event));
on("transcript_final", (event) => transcript.final(event));
on("transcript_heard", (event) => transcript.heard(event));
on("interruption", (event) => transcript.interruption(event));
on("turn_metrics", (event) => transcript.metrics(event));
on("correction", (event) => transcript.remark(words().corrected, event.correct_info));
on("tool_call", (event) => transcript.remark(words().action, `${event.name}: ${event.status}`));
on("handoff", (event) => transcript.remark(words().handoff, event.summary));
on("error", (event) => penny.state === "open" && complain(event.message, event.code));
on("session_progress", ({ message, eta_ms }) => {
  show(eta_ms === null ? () => message : (say) => say.waking(Math.ceil(eta_ms / 1000)));
});
on("microphone_lost", () => complain(words().problems.microphoneLost, "microphone_lost"));
on("congested", () => complain(words().problems.congested, "congested"));
on("played", ({ ended }) => {
  if (!ended || document.body.dataset.status !== "speaking") return;
  show(penny.listening ? "listening" : "typing");
  drawControls();
});
on("session_ended", ({ reason, message }) => {
  if (message && reason !== "client_ended") complain(message, reason);
});
on("closed", ({ expected }) => {
  show("ended");
  if (!expected) complain(words().problems.lost, "lost");
  drawControls();
});
on("level", ({ input, output }) => {
  const draw = (id, level) => {
    // A meter in decibels: -60 dBFS is empty, 0 is full.
    const full = Math.max(0, Math.min(1, 1 + Math.log10(Math.max(level, 1e-6)) / 3));
    find(id).style.transform = `scaleX(${full})`;
    if (id === "#level-input") talk.style.setProperty("--level", full.toFixed(3));
  };
  if (input !== undefined) draw("#level-input", penny.muted ? 0 : input);
  if (output !== undefined) draw("#level-output", output);
});

talk.addEventListener("click", () => {
  if (penny.state === "connecting" || penny.state === "open") penny.end();
  else call({ microphone: true });
});
stop.addEventListener("click", () => penny.interrupt());
mute.addEventListener("click", () => {
  penny.muted = !penny.muted;
  drawControls();
});
problem.querySelector("button").addEventListener("click", () => complain(""));
find("#typed").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const said = text.value.trim();
  if (said === "" || penny.state === "connecting") return;
  if (penny.state !== "open") await call({ microphone: false });
  if (penny.state !== "open") return; // the sentence stays in its field
  text.value = "";
  penny.sendText(said);
  show("thinking");
});
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && !stop.disabled) penny.interrupt();
});
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    modes.draw();
    show(status);
    drawControls();
  });
}

speak();
show("connecting");
loadModes();
