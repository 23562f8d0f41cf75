// The choice of mode, from GET /v1/modes.

import { element } from "./element.js";
import { words } from "./words.js";

function facts(mode) {
  const say = words();
  const price = mode.cost_per_minute_usd ?? null;
  const rows = [
    ["latency", say.latency, mode.latency ?? ""],
    ["cost", say.cost, price === null ? "" : `$${price.toFixed(2)}${say.perMinute}`],
    ["privacy", say.privacy, mode.privacy ?? ""],
  ];
  const list = element("dl");
  for (const [kind, name, value] of rows) {
    if (!value) continue;
    const title = element("dt", { text: name });
    list.append(element("div", { dataset: { fact: kind } }, title, element("dd", { text: value })));
  }
  return list;
}

/** Draws the modes as cards to choose from and knows which one is chosen. */
export class Modes {
  #list = [];
  #chosen = null;

  constructor(fieldset) {
    this.fieldset = fieldset;
    fieldset.addEventListener("change", ({ target }) => (this.#chosen = target.value));
  }

  get chosen() {
    return this.named(this.#chosen);
  }

  named(name) {
    return this.#list.find((mode) => mode.name === name) ?? null;
  }

  /** Ask Penny. Rejects when she cannot be reached. */
  async load() {
    const response = await fetch("/v1/modes", { headers: { accept: "application/json" } });
    if (!response.ok) throw new Error(`/v1/modes answered ${response.status}`);
    const { modes, default_mode: preferred } = await response.json();
    this.#list = modes;
    const open = this.#list.filter((mode) => mode.available && mode.selectable);
    const first = open.find((mode) => mode.name === preferred) ?? open[0];
    this.#chosen = this.chosen?.available ? this.#chosen : (first?.name ?? null);
    this.draw();
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

  #why({ reason, remedy }) {
    const why = element("span", { class: "why" });
    why.append(element("b", { text: `${words().unavailable}. ` }), reason ?? "");
    if (remedy) why.append(element("code", { text: remedy }));
    return why;
  }
}
