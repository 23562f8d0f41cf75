// The brain made visible: the folio in force, what it rests on, corrections, actions, money.

import { element, find } from "./element.js";
import { dollars } from "./ticker.js";
import { score as written, words } from "./words.js";

const KEPT_FOLIOS = 50;
const KEPT_NOTES = 50;

const readable = (value) =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);

const titled = (title, ...rest) => [element("h3", { text: title }), ...rest];

export class Brain {
  #folios = [];
  #shown = -1; // which folio is looked at
  #actions = new Map(); // call_id -> row

  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.panel = panel;
    find("#folio-before").addEventListener("click", () => this.#look(this.#shown - 1));
    find("#folio-after").addEventListener("click", () => this.#look(this.#shown + 1));
  }

  /** Begin anew; shown only where a brain works behind the speaker. */
  open(works) {
    this.#folios = [];
    this.#shown = -1;
    this.#actions.clear();
    for (const list of ["#folio", "#corrections", "#actions", "#spending"]) {
      find(list).replaceChildren();
    }
    this.panel.hidden = !works;
    document.body.dataset.brain = works ? "on" : "off";
    this.#draw();
  }

  /** Something of the brain's came: from now on there is something to see. */
  #appear() {
    if (this.panel.hidden) this.open(true);
    document.body.dataset.news = "brain";
  }

  folio(update) {
    this.#appear();
    this.#folios = [...this.#folios, update].slice(-KEPT_FOLIOS);
    this.#look(this.#folios.length - 1);
  }

  correction({ what_gpt_said, correct_info, correction_type, inject_correction }) {
    this.#appear();
    const say = words();
    const kind = say.correctionTypes[correction_type] ?? correction_type.replaceAll("_", " ");
    const row = element(
      "li",
      { class: "correction" },
      element("span", { class: "stamp", text: kind }),
      element("p", {}, element("b", { text: say.wasSaid }), element("del", { text: what_gpt_said })),
      element("p", {}, element("b", { text: say.holds }), element("ins", { text: correct_info })),
      element("small", { text: inject_correction ? say.told : say.notTold }),
    );
    this.#note("#corrections", row);
  }

  action({ call_id, name, status, arguments: given, result, message }) {
    this.#appear();
    const say = words();
    const row = element("li", { class: "action", dataset: { status } });
    const chip = element("span", { class: "chip", text: say.statuses[status] ?? status });
    row.append(element("p", {}, element("code", { text: name }), chip));
    if (given) row.append(element("small", { text: readable(given) }));
    const outcome = message ?? (result ? readable(result) : null);
    if (outcome) row.append(element("small", { class: "outcome", text: `→ ${outcome}` }));
    const known = this.#actions.get(call_id);
    if (known) known.replaceWith(row);
    else this.#note("#actions", row);
    this.#actions.set(call_id, row);
  }

  handoff({ summary, reason, destination }) {
    this.#appear();
    const where = [destination, reason].filter(Boolean).join(" · ");
    const title = element("p", {}, element("strong", { text: words().handoff }));
    const row = element("li", { class: "action handoff" }, title, element("p", { text: summary }));
    if (where) row.append(element("small", { text: where }));
    this.#note("#actions", row);
  }

  cost({ usd_by: parts, usd_total: total }) {
    const known = Object.entries(parts).filter(([, usd]) => usd > 0);
    if (known.length === 0) return;
    const strip = element("span", { class: "track spent", "aria-hidden": "true" });
    const list = element("dl");
    for (const [name, usd] of known) {
      const bar = element("i", { dataset: { part: name } });
      bar.style.inlineSize = `${(100 * usd) / total}%`;
      strip.append(bar);
      const title = element("dt", { dataset: { part: name }, text: words().parts[name] ?? name });
      list.append(title, element("dd", { text: dollars(usd) }));
    }
    find("#spending").replaceChildren(...titled(words().spending), strip, list);
  }

  /** Again, in another language. */
  draw() {
    this.#draw();
  }

  #note(list, row) {
    const rows = find(list);
    rows.prepend(row);
    if (rows.childElementCount > KEPT_NOTES) rows.lastElementChild.remove();
    this.#draw();
  }

  #look(index) {
    this.#shown = Math.max(0, Math.min(this.#folios.length - 1, index));
    this.#draw();
  }

  #draw() {
    const say = words();
    const update = this.#folios[this.#shown];
    find("#folio-empty").hidden = update !== undefined;
    find("#folio-pages").hidden = this.#folios.length < 2;
    find("#folio-before").disabled = this.#shown <= 0;
    find("#folio-after").disabled = this.#shown >= this.#folios.length - 1;
    for (const list of ["#corrections", "#actions"]) {
      find(list).parentElement.hidden = find(list).childElementCount === 0;
    }
    if (update === undefined) return;
    const newest = this.#shown === this.#folios.length - 1;
    find("#folio").replaceChildren(...this.#sheet(update, newest, say));
  }

  #sheet(update, newest, say) {
    const { context_update: folio, revision, latency_ms, usd } = update;
    const facts = [
      update.placement && (say.placements[update.placement] ?? update.placement),
      latency_ms !== null && `${latency_ms} ms`,
      usd !== null && dollars(usd),
    ].filter(Boolean);
    const state = element("span", { class: "chip", text: newest ? say.inForce : say.past });
    const head = element(
      "header",
      { dataset: { newest } },
      element("span", { class: "number", text: say.folioNumber(revision) }),
      state,
      element("small", { text: facts.join(" · ") }),
    );
    const parts = [head, element("p", { class: "intent", text: folio.user_intent })];
    parts.push(...this.#advice(folio, say), ...this.#passages(update.passages, say));
    return parts;
  }

  #advice(folio, say) {
    const parts = [];
    const facts = Object.entries(folio.relevant_data);
    if (facts.length > 0) {
      const list = element("dl", { class: "facts" });
      for (const [name, value] of facts) {
        list.append(element("dt", { text: name.replaceAll("_", " ") }));
        list.append(element("dd", { text: readable(value) }));
      }
      parts.push(...titled(say.knows, list));
    }
    const lines = (items, className) =>
      element("ul", { class: className }, ...items.map((text) => element("li", { text })));
    const elements = folio.suggested_response_elements;
    if (elements.length > 0) parts.push(...titled(say.suggests, lines(elements, "suggested")));
    if (folio.tone_guidance) {
      parts.push(...titled(say.tone, element("p", { class: "tone", text: folio.tone_guidance })));
    }
    if (folio.warnings.length > 0) parts.push(...titled(say.beware, lines(folio.warnings, "beware")));
    return parts;
  }

  #passages(passages, say) {
    if (passages.length === 0) return [];
    const list = element("ol", { class: "passages" });
    for (const { source, title, text, score } of passages) {
      const strip = element("span", { class: "track", "aria-hidden": "true" });
      const bar = element("i");
      bar.style.inlineSize = `${Math.round(100 * (score ?? 0))}%`;
      strip.append(bar);
      const figure = score === null ? "" : written(score);
      const head = element("summary", {}, element("span", { text: title || source }));
      if (score !== null) head.append(strip, element("b", { text: figure, title: say.score }));
      const body = element("blockquote", { text });
      list.append(element("li", {}, element("details", {}, head, body), element("small", { text: source })));
    }
    return titled(say.restsOn, list);
  }
}
