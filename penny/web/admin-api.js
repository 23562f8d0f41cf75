// The operator's side of Penny over HTTP, as the person who signed in.

import { asSignedIn, signIn } from "./sign-in.js";

/** What Penny answered instead: `status` 401 and the code `forbidden` ask for another key. */
export class AdminError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { name: "AdminError", status, code });
  }
}

export class AdminApi {
  async signIn(key) {
    await this.#read("/v1/sign-in", await signIn(key));
  }

  /** The figures of the house; null for who may not see them. */
  async overview() {
    const response = await asSignedIn("/admin/v1/overview");
    if (response.status === 403) return null;
    return (await this.#read("/admin/v1/overview", response)).json();
  }

  async sessions() {
    return (await (await this.#ask("/admin/v1/sessions")).json()).sessions;
  }

  async hangUp(id) {
    await this.#ask(`/admin/v1/sessions/${encodeURIComponent(id)}/hang-up`, { method: "POST" });
  }

  /**
   * Call `onEvent` with each event of a session until it ends or `signal` aborts. EventSource
   * does not tell why it was refused, so the stream is read here.
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
    return this.#read(path, await asSignedIn(path, options));
  }

  async #read(path, response) {
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({}));
    const message = error?.message ?? `${path}: ${response.status}`;
    throw new AdminError(response.status, error?.code ?? "", message);
  }
}
