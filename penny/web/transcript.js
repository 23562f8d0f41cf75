// The conversation as text: what was said, what was heard, what was cut, and how long it took.

import { words } from "./words.js";

const STAGES = ["turn_decided", "transcript", "first_token", "first_audio", "done"];
const MAX_ITEMS = 400; // a long call must not slow the page down

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

export class Transcript {
  #items = new Map(); // item_id -> {row, text, note}
  #lastOfTurn = new Map(); // turn_id -> row of its answer

  constructor(list, empty) {
    this.list = list;
    this.empty = empty;
  }

  clear() {
    this.#items.clear();
    this.#lastOfTurn.clear();
    this.list.replaceChildren();
    this.empty.hidden = false;
  }

  delta({ role, turn_id, item_id, delta }) {
    this.#item(role, turn_id, item_id).text.append(delta);
    this.#follow();
  }

  final({ role, turn_id, item_id, text, understood, heard }) {
    const item = this.#item(role, turn_id, item_id);
    item.row.classList.remove("partial");
    if (!item.row.classList.contains("cut")) item.text.textContent = heard ?? text;
    if (role === "user" && understood === false) {
      item.row.classList.add("lost");
      item.note.textContent = words().notUnderstood;
    }
    this.#follow();
  }

  heard({ turn_id, item_id, text, complete }) {
    const item = this.#item("penny", turn_id, item_id);
    if (complete) {
      item.note.textContent = `✓ ${words().heardAll}`;
    } else if (!item.row.classList.contains("cut")) {
      this.#cut(item, text, item.text.textContent.slice(text.length));
    }
  }

  interruption({ turn_id, item_id, heard_text, cut_text }) {
    if (item_id === null) return;
    this.#cut(this.#item("penny", turn_id, item_id), heard_text, cut_text);
    this.#follow();
  }

  /** What a brain or a tool did, between the turns. */
  remark(title, text) {
    const row = element("li", "", "remark");
    row.append(element("strong", title), element("span", text));
    this.#add(row);
  }

  metrics({ turn_id, latency_ms }) {
    const row = this.#lastOfTurn.get(turn_id);
    if (row === undefined) return;
    const known = STAGES.filter((stage) => latency_ms[stage] !== null);
    if (known.length === 0) return;
    const details = element("details", "", "latency");
    const headline = latency_ms.first_audio ?? latency_ms.done;
    details.append(element("summary", headline === null ? "…" : words().answered(headline)));
    const longest = Math.max(1, ...known.map((stage) => latency_ms[stage]));
    let before = 0;
    for (const stage of known) {
      details.append(this.#bar(stage, before, latency_ms[stage], longest));
      before = latency_ms[stage];
    }
    row.querySelector(".latency")?.remove();
    row.append(details);
    this.#follow();
  }

  /** One step of the waterfall: it begins where the stage before it ended. */
  #bar(stage, before, ms, longest) {
    const percent = (value) => Math.max(0, (100 * value) / longest);
    const row = element("span", "", "stage");
    const bar = element("i");
    bar.style.marginInlineStart = `${percent(Math.min(before, ms))}%`;
    bar.style.inlineSize = `${Math.max(1, percent(ms) - percent(Math.min(before, ms)))}%`;
    const track = element("span", "", "track");
    track.append(bar);
    row.append(element("span", words().stages[stage]), track, element("b", `${ms} ms`));
    return row;
  }

  #cut(item, heard, cut) {
    item.row.classList.remove("partial");
    item.row.classList.add("cut");
    const struck = element("del", cut);
    struck.title = words().cut;
    item.text.replaceChildren(heard, struck);
    item.note.textContent = words().cut;
  }

  #item(role, turnId, itemId) {
    const known = this.#items.get(itemId);
    if (known !== undefined) return known;
    const row = element("li", "", `${role} partial`);
    row.dataset.item = itemId;
    const item = { row, text: element("p"), note: element("small") };
    row.append(element("strong", role === "user" ? words().you : "Penny", "who"));
    row.append(item.text, item.note);
    this.#items.set(itemId, item);
    if (role === "penny") this.#lastOfTurn.set(turnId, row);
    this.#add(row);
    return item;
  }

  #add(row) {
    this.empty.hidden = true;
    this.list.append(row);
    if (this.list.childElementCount > MAX_ITEMS) {
      this.#items.delete(this.list.firstElementChild.dataset.item);
      this.list.firstElementChild.remove();
    }
    this.#follow();
  }

  #follow() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}
