// Phone lines: how calls come in, saved and tested.

import { ask, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { tell } from "./faults.js";
import { currentLanguage, words } from "./words.js";

const PATH = "/api/config/telephony";
const NUMBERING = [
  { name: "country", value: "" },
  { name: "number_form", value: "+e164", choices: ["+e164", "e164", "00", "national"] },
  { name: "dial_template", value: "{number}" },
];
const LAWS = ["ulaw", "alaw", "g729"];
const FIELDS = {
  fxo_gateway: [
    { name: "ip", value: "" },
    { name: "sip_port", value: 5060, kind: "number", min: 1024, max: 65535 },
    { name: "user", value: "gateway" },
    { name: "password", value: "", kind: "password" },
    { name: "fxo_ports", value: 4, kind: "number", min: 1, max: 128 },
    { name: "codec", value: "ulaw", choices: LAWS },
    ...NUMBERING,
  ],
  carrier_grade: [
    { name: "host", value: "" },
    { name: "port", value: 5060, kind: "number", min: 1024, max: 65535 },
    { name: "transport", value: "udp", choices: ["udp", "tcp", "tls"] },
    { name: "auth_type", value: "register", choices: ["register", "ip_auth"] },
    { name: "user", value: "" },
    { name: "password", value: "", kind: "password" },
    { name: "match", value: [], kind: "list" },
    { name: "outbound_caller_id", value: "" },
    ...NUMBERING,
  ],
};

let saved = null;
let draft = { method: "", fxo_gateway: null, carrier_grade: null };
let wrong = null; // what was not saved, and why
let told = "";

const part = () => (draft.method ? draft[draft.method] : null);

function begin(method) {
  draft.method = method;
  if (method) draft[method] ??= { ...Object.fromEntries(FIELDS[method].map(({ name, value }) => [name, value])), dids: [] };
}

/** A field with its label; what is wrong with it is read with it. */
function labelled(path, label, control, hint = "") {
  const id = `field-${path.replaceAll(".", "-")}`;
  control.id = id;
  const hurt = wrong?.field === path || wrong?.field?.startsWith(`${path}.`);
  const notes = [hint && [`${id}-hint`, hint, "quiet"], hurt && [`${id}-wrong`, tell(wrong), "wrong"]].filter(Boolean);
  if (hurt) control.setAttribute("aria-invalid", "true");
  if (notes.length) control.setAttribute("aria-describedby", notes.map(([noteId]) => noteId).join(" "));
  const texts = notes.map(([noteId, text, kind]) => element("span", { id: noteId, class: kind, text }));
  return element("label", { htmlFor: id }, element("span", { text: label }), control, ...texts);
}

function control({ name, kind = "text", choices, min, max }, values) {
  if (choices) {
    const names = words().telephony.choices;
    const options = choices.map((each) => element("option", { value: each, text: names[each] ?? each, selected: each === values[name] }));
    return element("select", { name, onchange: ({ target }) => change(name, target.value) }, ...options);
  }
  const shown = kind === "list" ? values[name].join(", ") : String(values[name]);
  const read = { number: (text) => (text === "" ? text : Number(text)), list: (text) => text.split(/[\s,]+/).filter(Boolean) }[kind] ?? ((text) => text);
  const type = kind === "list" ? "text" : kind;
  const facts = { name, type, autocomplete: kind === "password" ? "new-password" : "off", spellcheck: false, oninput: ({ target }) => (values[name] = read(target.value)) };
  if (kind === "number") Object.assign(facts, { min, max, inputMode: "numeric" });
  return element("input", { ...facts, value: shown });
}

function change(name, value) {
  part()[name] = value;
  if (name !== "auth_type") return;
  drawFields();
  find('#fields [name="auth_type"]').focus();
}

function isAsked({ name }) {
  const values = part();
  return !(values.auth_type === "ip_auth" && name === "password");
}

function drawFields() {
  const say = words().telephony;
  const values = part();
  const rows = (FIELDS[draft.method] ?? []).filter(isAsked).map((field) => {
    const hint = field.name === "password" ? say.passwords[values.password_state ?? "unset"] : say.hints[field.name] ?? "";
    return labelled(`${draft.method}.${field.name}`, say.fields[field.name], control(field, values), hint);
  });
  find("#fields").replaceChildren(...rows);
  drawNumbers();
  showDialled();
}

/** How two numbers would be rung, before anything is saved; what is wrong is told when it is. */
async function showDialled() {
  const values = part();
  find("#dialled").textContent = "";
  if (!values) return;
  const query = new URLSearchParams(NUMBERING.map(({ name }) => [name, values[name]]));
  try {
    const { examples } = await ask(`${PATH}/dialled?${query}`);
    const shown = examples.map(({ number, dialled }) => `${number} → ${dialled}`).join(" · ");
    find("#dialled").textContent = `${words().telephony.dialled}: ${shown}`;
  } catch (error) {
    find("#dialled").textContent = tell(error);
  }
}

function drawNumbers() {
  const say = words().telephony;
  find("#numbers").hidden = !draft.method;
  const dids = part()?.dids ?? [];
  const rows = dids.map((did, index) => {
    const path = `${draft.method}.dids.${index}`;
    const number = element("input", { type: "tel", value: did.number, autocomplete: "off", oninput: ({ target }) => (did.number = target.value.trim()) });
    const label = element("input", { type: "text", value: did.label, maxLength: 60, autocomplete: "off", oninput: ({ target }) => (did.label = target.value) });
    const active = element("input", { type: "checkbox", checked: did.active, onchange: ({ target }) => (did.active = target.checked) });
    const remove = () => {
      dids.splice(index, 1);
      drawNumbers();
      (find(`#dids li:nth-child(${Math.min(index + 1, dids.length)}) input`) ?? find("#add")).focus();
    };
    return element(
      "li",
      {},
      labelled(`${path}.number`, say.number, number),
      labelled(`${path}.label`, say.label, label),
      element("label", { class: "tick" }, active, element("span", { text: say.active })),
      element("button", { type: "button", text: say.remove, "aria-label": `${say.remove}: ${did.number}`, onclick: remove }),
    );
  });
  find("#dids").replaceChildren(...rows);
}

function drawState() {
  const say = words().telephony;
  const { status, code, at_ms: at, steps } = saved.state;
  const when = at ? new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeStyle: "short" }).format(at) : "";
  find("#banner").dataset.status = status;
  find("#banner").replaceChildren(
    element("strong", { text: say.states[status] }),
    element("span", { text: say.codes[code] ?? code }),
    element("span", { class: "quiet", text: when }),
  );
  find("#warnings").replaceChildren(...saved.warnings.map((text) => element("li", { text: say.warnings[text.split(":")[0]] ?? text })));
  find("#tested").hidden = steps.length === 0;
  const rows = steps.map(({ name, state, code: what, facts }) =>
    element(
      "li",
      {},
      element("strong", { text: say.steps[name] }),
      element("span", { class: "chip", dataset: { state: { ok: "ready", failed: "away" }[state] ?? "part" }, text: say.stepStates[state] }),
      element("span", { text: say.codes[what] ?? what }),
      element("span", { class: "quiet", text: say.facts(facts) }),
      state === "skipped" ? null : element("p", { class: "why", text: say.proves[name] }),
    ),
  );
  find("#steps").replaceChildren(...rows);
}

function drawRefused() {
  const say = words().telephony;
  const when = new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeStyle: "short" });
  const add = (number) => {
    part().dids.push({ number, label: "", active: true });
    saved.refused = saved.refused.filter((each) => each.number !== number);
    draw(true);
    find("#dids li:last-child input").focus();
  };
  const rows = saved.refused.map(({ number, at_ms: at }) =>
    element(
      "li",
      {},
      element("strong", { text: number }),
      element("span", { class: "quiet", text: when.format(at) }),
      part() && /^\+?[0-9]{2,15}$/.test(number) ? element("span", { class: "acts" }, element("button", { type: "button", text: say.add, "aria-label": `${say.add}: ${number}`, onclick: () => add(number) })) : null,
    ),
  );
  find("#refused").replaceChildren(...rows);
  find("#unlisted").hidden = rows.length === 0;
}

function draw(isOpen) {
  document.title = `Penny · ${words().telephony.title}`;
  if (!isOpen) return;
  for (const radio of document.querySelectorAll('[name="method"]')) radio.checked = radio.value === draft.method;
  find("#told").textContent = told ? words().telephony[told] : "";
  drawFields();
  drawRefused();
  drawState();
}

function take(answer) {
  saved = answer;
  draft = structuredClone({ method: saved.method, fxo_gateway: saved.fxo_gateway, carrier_grade: saved.carrier_grade });
  wrong = null;
}

/** Only the chosen method's part is sent; the other stays as it was saved. */
function body() {
  const sent = { method: draft.method, fxo_gateway: null, carrier_grade: null };
  if (draft.method) sent[draft.method] = part();
  return JSON.stringify(sent);
}

const post = (path, text = "") => ask(`${PATH}/${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: text });

const act = openDesk({ load: async () => take(await ask(PATH)), draw });

/** Files that somebody changed by hand are overwritten only by one who has seen what that undoes. */
async function send() {
  try {
    return await post("save", body());
  } catch (error) {
    if (error.code !== "changed_by_hand" || !confirm(`${words().telephony.byHand}\n\n${error.diff}`)) throw error;
    return post("save?overwrite=true", body());
  }
}

async function save() {
  told = "";
  try {
    take(await send());
    told = "saved";
  } catch (error) {
    wrong = error;
    throw error;
  } finally {
    draw(true);
    find('#line [aria-invalid="true"]')?.focus();
  }
}

async function test() {
  told = "testing";
  draw(true);
  find("#test").disabled = true;
  try {
    saved.state = await post("test");
    told = "";
  } finally {
    told = "";
    find("#test").disabled = false;
    draw(true);
    find("#test").focus();
  }
}

find("#line").addEventListener("submit", (submit) => {
  submit.preventDefault();
  act(save);
});
find("#line").addEventListener("change", ({ target }) => {
  if (NUMBERING.some(({ name }) => name === target.name)) showDialled();
  if (target.name !== "method") return;
  begin(target.value);
  draw(true);
});
find("#add").addEventListener("click", () => {
  part().dids.push({ number: "", label: "", active: true });
  drawNumbers();
  find("#dids li:last-child input").focus();
});
find("#test").addEventListener("click", () => act(test));
