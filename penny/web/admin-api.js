// The operator's side of Penny over HTTP. The key stays in this tab and goes nowhere else.

const STORED_AS = "penny.admin.key";

/** What Penny answered instead: `status` 401 and 403 ask for another key. */
export class AdminError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { name: "AdminError", status, code });
  }
}

export class AdminApi {
  #key = sessionStorage.getItem(STORED_AS) ?? "";

  get key() {
    return this.#key;
  }

  set key(value) {
    this.#key = value.trim();
    if (this.#key) sessionStorage.setItem(STORED_AS, this.#key);
    else sessionStorage.removeItem(STORED_AS);
  }

  async overview() {
    return (await this.#ask("/admin/v1/overview")).json();
  }

  async sessions() {
    return (await (await this.#ask("/admin/v1/sessions")).json()).sessions;
  }

  async hangUp(id) {
    await this.#ask(`/admin/v1/sessions/${encodeURIComponent(id)}/hang-up`, { method: "POST" });
  }

  /**
   * Call `onEvent` with each event of a session until it ends or `signal` aborts. EventSource
   * cannot send a key, so the stream is read here.
   */
  async watch(id, { words, signal, onEvent }) {
    const query = words ? "?transcripts=true" : "";
    const path = `/admin/v1/sessions/${encodeURIComponent(id)}/events${query}`;
    const response = await this.#ask(path, { signal });
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

  async #ask(path, options = {}) {
    const headers = this.#key ? { authorization: `Bearer ${this.#key}` } : {};
    const response = await fetch(path, { ...options, headers, cache: "no-store" });
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({}));
    const message = error?.message ?? `${path}: ${response.status}`;
    throw new AdminError(response.status, error?.code ?? "", message);
  }
}
