// Looking into one call: its events as they come. What was said stays hidden unless it is asked for.

import { checked } from "./desk.js";
import { element, find } from "./element.js";
import { tell } from "./faults.js";
import { asSignedIn } from "./sign-in.js";
import { clock } from "./ticker.js";
import { words } from "./words.js";

const MAX_ROWS = 500;
const DULL = new Set(["input_audio_buffer.append", "response.output_audio.delta"]);

const short = (value) => {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
};

/** What an event says beside its type, as "name value" pairs; ids of the envelope left out. */
function detail(event) {
  return Object.entries(event)
    .filter(([name, value]) => name !== "type" && name !== "event_id" && value !== null)
    .map(([name, value]) => `${name} ${short(value)}`)
    .join(" · ");
}

/**
 * Call `onEvent` with each event of a session until it ends or `signal` aborts. EventSource does
 * not tell why it was refused, so the stream is read here.
 */
async function watch(id, { words: spoken, signal, onEvent }) {
  const path = `/admin/v1/sessions/${encodeURIComponent(id)}/events${spoken ? "?transcripts=true" : ""}`;
  const response = await checked(path, await asSignedIn(path, { signal }));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      if (block.startsWith("data: ")) onEvent(JSON.parse(block.slice(6)));
    }
  }
}

export class Look {
  #watching = null; // {id, abort, over, trouble}
  #audio = null; // the row that counts audio messages in a row

  constructor() {
    find("#look-close").addEventListener("click", () => this.close());
    find("#look-words").addEventListener("click", () => {
      const shown = find("#look-words").getAttribute("aria-pressed") === "true";
      this.open(this.#watching.id, { words: !shown });
    });
  }

  get id() {
    return this.#watching?.id ?? null;
  }

  async open(id, { words: spoken = false, trouble = null } = {}) {
    this.#watching?.abort.abort();
    const watching = { id, abort: new AbortController(), over: false, trouble };
    this.#watching = watching;
    this.#audio = null;
    find("#look").hidden = false;
    find("#events").replaceChildren();
    find("#look-words").setAttribute("aria-pressed", String(spoken));
    this.draw();
    find("#look-title").focus();
    const { signal } = watching.abort;
    try {
      await watch(id, { words: spoken, signal, onEvent: (event) => this.#add(event) });
      watching.over = true;
      this.draw();
    } catch (error) {
      if (signal.aborted) return;
      // Not allowed to read along, or the call is on another node: said where it was asked.
      if (spoken) this.open(id, { trouble: error });
      else watching.trouble = error;
      this.draw();
    }
  }

  close() {
    this.#watching?.abort.abort();
    this.#watching = null;
    find("#look").hidden = true;
  }

  draw() {
    if (this.#watching === null) return;
    const spoken = find("#look-words").getAttribute("aria-pressed") === "true";
    find("#look-title").textContent = `${words().admin.look}: ${this.#watching.id}`;
    const { over, trouble } = this.#watching;
    const note = spoken ? words().admin.wordsShown : words().admin.wordsHidden;
    find("#look-note").textContent = trouble ? tell(trouble) : (over ? words().admin.over : note);
  }

  #add({ from, at_ms, event }) {
    const list = find("#events");
    const near = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    if (DULL.has(event.type) && this.#audio?.type === event.type) {
      this.#audio.count += 1;
      this.#audio.cell.textContent = `× ${this.#audio.count}`;
      return;
    }
    const cell = element("span", { class: "detail", text: DULL.has(event.type) ? "× 1" : detail(event) });
    this.#audio = DULL.has(event.type) ? { type: event.type, count: 1, cell } : null;
    const when = element("time", { text: clock(at_ms) });
    const who = element("span", { class: "from", text: words().admin.from[from] ?? from });
    const kind = element("code", { text: event.type });
    list.append(element("div", { dataset: { from, dull: DULL.has(event.type) } }, when, who, kind, cell));
    if (list.childElementCount > MAX_ROWS) list.firstElementChild.remove();
    if (near) list.scrollTop = list.scrollHeight;
  }
}
