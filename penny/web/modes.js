// The choice of mode, from GET /v1/modes.

import { words } from "./words.js";

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function facts(mode) {
  const say = words();
  const list = element("dl");
  const rows = [
    [say.latency, mode.latency ?? ""],
    [say.cost, mode.cost_per_minute_usd == null ? "" : `~$${mode.cost_per_minute_usd}${say.perMinute}`],
    [say.privacy, mode.privacy ?? ""],
  ];
  for (const [name, value] of rows) {
    if (value) list.append(element("dt", name), element("dd", value));
  }
  return list;
}

/** Draws the modes as radio cards and knows which one is chosen. */
export class Modes {
  #list = [];
  #chosen = null;

  constructor(fieldset) {
    this.fieldset = fieldset;
    fieldset.addEventListener("change", ({ target }) => (this.#chosen = target.value));
  }

  get chosen() {
    return this.#list.find((mode) => mode.name === this.#chosen) ?? null;
  }

  /** Ask Penny. Rejects when she cannot be reached. */
  async load() {
    const response = await fetch("/v1/modes", { headers: { accept: "application/json" } });
    if (!response.ok) throw new Error(`/v1/modes answered ${response.status}`);
    const { modes, default_mode: preferred } = await response.json();
    this.#list = modes;
    const open = this.#list.filter((mode) => mode.available);
    const first = open.find((mode) => mode.name === preferred) ?? open[0];
    this.#chosen = this.chosen?.available ? this.#chosen : (first?.name ?? null);
    this.draw();
  }

  draw() {
    const legend = this.fieldset.querySelector("legend");
    this.fieldset.replaceChildren(legend, ...this.#list.map((mode) => this.#card(mode)));
  }

  #card(mode) {
    const usable = mode.available && (mode.selectable || mode.name === this.#chosen);
    const card = element("label", "", "mode");
    const radio = element("input");
    Object.assign(radio, {
      type: "radio",
      name: "mode",
      value: mode.name,
      checked: mode.name === this.#chosen,
      disabled: !usable,
    });
    const body = element("span", "", "body");
    body.append(element("strong", mode.label ?? mode.name), facts(mode));
    if (mode.description) body.append(element("span", mode.description, "quiet"));
    if (!mode.available) {
      const why = [mode.reason, mode.remedy].filter(Boolean).join(" · ");
      body.append(element("span", `${words().unavailable}: ${why}`, "why"));
    }
    card.append(radio, body);
    return card;
  }
}
