// The conversation as text: what was said, what was heard, what was cut, and how long it took.

import { element } from "./element.js";
import { waterfall } from "./waterfall.js";
import { words } from "./words.js";

const MAX_ITEMS = 400; // a long call must not slow the page down
const NEAR_END_PX = 80; // who scrolled up to read is left there

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

  /** Penny was wrong: the words at fault are marked where they stand, and what holds follows. */
  correction({ item_id, what_gpt_said: wrong, correct_info }) {
    const item = this.#items.get(item_id);
    const text = item?.text.textContent ?? "";
    const at = text.toLowerCase().indexOf(wrong.toLowerCase());
    if (item && at >= 0 && !item.row.classList.contains("cut")) {
      const mark = element("mark", { text: text.slice(at, at + wrong.length) });
      item.text.replaceChildren(text.slice(0, at), mark, text.slice(at + wrong.length));
    }
    this.remark("correction", words().corrected, correct_info);
  }

  /** What a brain, a tool or the line did, between the turns. */
  remark(kind, title, text = "") {
    const row = element("div", { class: `remark ${kind}` }, element("strong", { text: title }));
    if (text) row.append(element("span", { text }));
    this.#add(row);
  }

  metrics({ turn_id, latency_ms }) {
    const row = this.#lastOfTurn.get(turn_id);
    const details = waterfall({ latency_ms });
    if (row === undefined || details === null) return;
    row.querySelector(".latency")?.remove();
    row.append(details);
    this.#follow();
  }

  #cut(item, heard, cut) {
    item.row.classList.remove("partial");
    item.row.classList.add("cut");
    const struck = element("del", { text: cut, title: words().cut });
    item.text.replaceChildren(heard, struck);
    item.note.textContent = words().cut;
  }

  #item(role, turnId, itemId) {
    const known = this.#items.get(itemId);
    if (known !== undefined) return known;
    const row = element("div", { class: `${role} partial`, dataset: { item: itemId } });
    const item = { row, text: element("p"), note: element("small") };
    const who = role === "user" ? words().you : "Penny";
    row.append(element("strong", { class: "who", text: who }), item.text, item.note);
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
    this.#follow(true);
  }

  #follow(added = false) {
    const { scrollHeight, scrollTop, clientHeight, lastElementChild } = this.list;
    const grown = added ? lastElementChild.offsetHeight : 0;
    if (scrollHeight - scrollTop - clientHeight - grown < NEAR_END_PX * 2) {
      this.list.scrollTop = scrollHeight;
    }
  }
}
