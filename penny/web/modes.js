// The choice of mode, from GET /v1/modes.

import { element } from "./element.js";
import { dollars } from "./ticker.js";
import { currentLanguage, words } from "./words.js";

const DEMO_MODE = "EXTERNAL"; // the one that `make demo` plays without a key

function facts(mode) {
  const say = words();
  const latency = mode.latency_ms ?? null;
  const price = mode.cost_per_minute_usd ?? null;
  const rows = [
    ["latency", say.latency, latency === null && !mode.available ? "" : say.measured(latency)],
    ["cost", say.cost, price === null ? "" : `${dollars(price, 2)}${say.perMinute}`],
    ["privacy", say.privacy, mode.privacy ?? ""],
  ];
  const list = element("dl");
  for (const [kind, name, value] of rows) {
    if (!value) continue;
    const title = element("dt", { text: name });
    list.append(element("div", { dataset: { fact: kind, known: kind !== "latency" || latency !== null } }, title, element("dd", { text: value })));
  }
  return list;
}

/** How freely a mode's ears take what is said in a language: a key of `words().ears`, or null. */
function hearing({ hears }, language) {
  if (!hears) return null;
  const knows = (languages) => languages.some((known) => known === "*" || known === language);
  if (knows(hears.closed_set)) return "closed";
  return knows(hears.languages) ? "free" : "none";
}

/** Draws the modes as cards to choose from and knows which one is chosen. */
export class Modes {
  #list = [];
  #chosen = null;
  #asked = 0;
  #told = "";
  examples = []; // questions that the documents list, in the page's language

  constructor(fieldset, onChoice) {
    this.fieldset = fieldset;
    fieldset.addEventListener("change", ({ target }) => {
      this.#chosen = target.value;
      onChoice();
    });
  }

  get chosen() {
    return this.named(this.#chosen);
  }

  named(name) {
    return this.#list.find((mode) => mode.name === name) ?? null;
  }

  /** What the chosen mode understands of speech in the page's language, or "". */
  get ears() {
    const kind = this.chosen ? hearing(this.chosen, currentLanguage()) : null;
    return kind === null ? "" : words().ears[kind];
  }

  /** Ask Penny, in the page's language; whether anything is new. Rejects when it cannot be reached. */
  async load() {
    const asked = (this.#asked += 1);
    const response = await fetch(`/v1/modes?language=${currentLanguage()}`);
    if (!response.ok) throw new Error(`/v1/modes answered ${response.status}`);
    const told = currentLanguage() + (await response.text());
    if (asked !== this.#asked || told === this.#told) return false; // asked in another language since, or no news
    this.#told = told;
    const { modes, default_mode: preferred, examples = [] } = JSON.parse(told.slice(2));
    this.#list = modes;
    this.examples = examples;
    const open = this.#list.filter((mode) => mode.available && mode.selectable);
    const first = open.find((mode) => mode.name === preferred) ?? open[0];
    this.#chosen = this.chosen?.available ? this.#chosen : (first?.name ?? null);
    this.draw();
    return true;
  }

  draw() {
    const legend = this.fieldset.querySelector("legend");
    const cards = this.#list.map((mode) => this.#card(mode));
    this.fieldset.replaceChildren(legend, element("div", { class: "cards" }, ...cards));
  }

  #card(mode) {
    const usable = mode.available && (mode.selectable || mode.name === this.#chosen);
    const radio = element("input", {
      type: "radio",
      name: "mode",
      value: mode.name,
      checked: mode.name === this.#chosen,
      disabled: !usable,
    });
    const label = mode.label ?? mode.name;
    const head = element("span", { class: "head" }, radio, element("strong", { text: label }));
    const card = element("label", { class: "mode", dataset: { usable } }, head);
    if (mode.description) card.append(element("span", { class: "quiet", text: mode.description }));
    if (!mode.available) card.append(this.#why(mode));
    else if (!usable) card.append(element("span", { class: "why", text: words().notSelectable }));
    card.append(facts(mode));
    return card;
  }

  #why({ name, reason, remedy }) {
    const why = element("span", { class: "why" });
    why.append(element("b", { text: `${words().unavailable}: ` }), reason ?? "");
    if (remedy) why.append(element("code", { text: remedy }));
    if (name === DEMO_MODE) why.append(element("span", { class: "quiet", text: words().demo }));
    return why;
  }
}
