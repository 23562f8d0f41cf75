// The document owner's page: what is served, how it is spoken, what finds it and why.

import { ask, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { reason } from "./faults.js";
import { currentLanguage, score, words } from "./words.js";

const POLL_MS = 3000;
const HITS = 8;

let desk = null;
let ref = "";
let reading = "";
let result = null;
let unanswered = [];

const query = (path, facts) => `${path}?${new URLSearchParams(facts)}`;
const collection = () => desk?.collections.find((each) => each.ref === ref) ?? null;

function button(text, name, onclick, className = "") {
  return element("button", { type: "button", class: className, text, "aria-label": `${text}: ${name}`, onclick });
}

function drawChoice() {
  const say = words().kb;
  const select = find("#collection");
  const options = desk.collections.map((each) => element("option", { value: each.ref, text: each.ref.replace("kb://", ""), selected: each.ref === ref }));
  select.replaceChildren(...options);
  const mine = collection();
  const problems = mine ? mine.files.filter((each) => each.problem).length : 0;
  find("#counts").textContent = mine ? say.counts(mine.files.length, mine.passages, problems, mine.vectors) : say.none;
  find("#health").textContent = desk.fault ? reason(desk.fault) : words().admin.ready;
  find("#health").dataset.ready = String(!desk.fault);
}

function fileRow(file) {
  const say = words().kb;
  const state = file.problem ? (file.passages ? "part" : "away") : "ready";
  const line = element(
    "li",
    { dataset: { file: file.name } },
    element("strong", { text: file.name }),
    element("span", { class: "chip", dataset: { state }, text: say.states[state] }),
    element("span", { class: "quiet", text: say.passages(file.passages) }),
  );
  const acts = element("span", { class: "acts" });
  if (file.passages) acts.append(button(say.read, file.name, () => read(file.name)));
  acts.append(button(say.remove, file.name, () => remove(file.name), "danger"));
  line.append(acts);
  if (file.problem) line.append(element("p", { class: "why", text: reason(file.problem) }));
  return line;
}

function drawFiles() {
  const files = collection()?.files ?? [];
  find("#no-files").hidden = files.length > 0;
  find("#drop").hidden = collection() === null;
  const focused = document.activeElement?.getAttribute("aria-label");
  find("#files").replaceChildren(...files.map(fileRow));
  if (focused) find(`#files [aria-label="${CSS.escape(focused)}"]`)?.focus();
}

function whyOf(why) {
  const say = words().kb;
  const places = [
    why.by_words ? say.byWords(why.by_words) : say.notByWords,
    why.by_vectors ? say.byVectors(why.by_vectors, score(why.cosine)) : null,
    why.found.length ? say.found(why.found.join(", ")) : null,
    why.lost.length ? say.lost(why.lost.join(", ")) : null,
  ];
  return places.filter(Boolean).join(" · ");
}

function drawHits() {
  const say = words().kb;
  if (result === null) {
    find("#verdict").textContent = "";
    find("#hits").replaceChildren();
    return;
  }
  find("#verdict").textContent = result.hits.length === 0 ? say.nothing : result.relevant ? say.told : say.notTold;
  const rows = result.hits.map((hit) =>
    element(
      "li",
      {},
      element("strong", { text: hit.heading.join(" › ") }),
      element("span", { class: "chip", text: score(hit.score) }),
      element("p", { text: hit.speakable || hit.text }),
      element("p", { class: "why", text: whyOf(hit.why) }),
      element("p", { class: "quiet", text: `${hit.source} · ${hit.position}` }),
    ),
  );
  find("#hits").replaceChildren(...rows);
}

function drawUnanswered() {
  const say = words().kb;
  find("#asked").hidden = unanswered.length === 0;
  const when = new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeStyle: "short" });
  const rows = unanswered.map((each) =>
    element(
      "li",
      {},
      element("strong", { text: each.text }),
      element("span", { class: "quiet", text: say.asked(each.asked, when.format(each.last_at * 1000)) }),
      element(
        "span",
        { class: "acts" },
        button(say.tryIt, each.text, () => search(each.text)),
        button(say.forget, each.text, () => forget(each.text), "danger"),
      ),
    ),
  );
  find("#unanswered").replaceChildren(...rows);
}

function draw() {
  document.title = `Penny · ${words().kb.title}`;
  if (desk === null) return;
  drawChoice();
  drawFiles();
  drawHits();
  drawUnanswered();
}

async function load() {
  desk = await ask("/v1/kb/collections");
  if (collection() === null) ref = desk.collections[0]?.ref ?? "";
  unanswered = ref ? (await ask(query("/v1/kb/unanswered", { ref }))).questions : [];
}

async function refresh() {
  await load();
  draw();
}

const search = (text) =>
  act(async () => {
    find("#question").value = text;
    result = await ask(query("/v1/kb/search", { ref, q: text, limit: HITS, why: true }));
    drawHits();
  });

const read = (name) =>
  act(async () => {
    reading = name;
    const { passages } = await ask(query("/v1/kb/passages", { ref, source: name }));
    const rows = passages.map((each) =>
      element(
        "li",
        {},
        element("strong", { text: each.heading.join(" › ") }),
        element("p", { text: each.speakable || each.text }),
        element("details", {}, element("summary", { text: words().kb.whole }), element("p", { class: "whole", text: each.text })),
      ),
    );
    find("#reading-title").textContent = reading;
    find("#passages").replaceChildren(...rows);
    find("#reading").hidden = false;
    find("#reading-title").focus();
  });

const remove = (name) =>
  act(async () => {
    if (!confirm(words().kb.confirm(name))) return;
    await ask(query("/v1/kb/document", { ref, name }), { method: "DELETE" });
    if (reading === name) find("#reading").hidden = true;
    await refresh();
  });

const forget = (text) =>
  act(async () => {
    await ask(query("/v1/kb/unanswered", { ref, text }), { method: "DELETE" });
    await refresh();
  });

const upload = (files) =>
  act(async () => {
    for (const file of files) {
      await ask(query("/v1/kb/document", { ref, name: file.name }), { method: "PUT", body: file });
    }
    find("#health").textContent = words().kb.arrived(files.length);
    await refresh();
  });

find("#ask").addEventListener("submit", (submit) => {
  submit.preventDefault();
  search(find("#question").value);
});
find("#collection").addEventListener("change", (change) => {
  ref = change.target.value;
  result = null;
  find("#reading").hidden = true;
  act(refresh);
});
find("#upload").addEventListener("change", (change) => {
  const files = [...change.target.files];
  change.target.value = "";
  upload(files);
});
const drop = find("#drop");
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.dataset.over = "true";
  });
}
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => delete drop.dataset.over);
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  upload([...event.dataTransfer.files]);
});

const act = openDesk({ load, draw, pollMs: POLL_MS });
