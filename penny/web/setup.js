// The parts of this house and their state.

import { ask, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { reason } from "./faults.js";
import { currentLanguage, words } from "./words.js";

let parts = [];

function row({ name, state, facts, faults, page }) {
  const say = words().setup;
  const [kind, which] = name.split(" ");
  const { states, codes, warnings, ...telephony } = words().telephony;
  const isPhones = name === "phones"; // whose words are those of its page
  const codeOf = (fault) => fault.split(":")[0];
  const tell = (fault) => (isPhones ? (warnings[codeOf(fault)] ?? codes[codeOf(fault)]) : null) ?? reason(fault);
  const shown = facts.map((fact) => (isPhones ? (telephony[fact] ?? states[fact]) : null) ?? reason(fact));
  const title = which ? `${say.names[kind]} ${words().calls.modes[which] ?? which}` : say.names[kind];
  return element(
    "li",
    {},
    element("strong", {}, page ? element("a", { href: page, text: title }) : title),
    element("span", { class: "chip", dataset: { state }, text: say.states[state] }),
    element("span", { class: "quiet", text: shown.join(" · ") }),
    ...faults.map((fault) => element("p", { class: "why", text: tell(fault) })),
  );
}

const load = async () => ({ parts } = await ask(`/v1/set-up?language=${currentLanguage()}`));

function draw(isOpen) {
  document.title = `Penny · ${words().setup.title}`;
  if (isOpen) find("#parts").replaceChildren(...parts.map(row));
}

const act = openDesk({ load, draw });

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    if (document.body.dataset.state === "open") act(async () => draw(await load())); // modes tell of themselves
  });
}
