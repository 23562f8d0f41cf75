// One WebSocket that carries one session: the handshake, and messages both ways.

const START_TIMEOUT_MS = 120_000; // a cold private mode may take this long to wake up
const MAX_UNSENT_BYTES = 192_000; // four seconds of audio that the network has not taken yet
const KEY_PROTOCOL = "penny-key."; // browsers cannot set headers on a WebSocket
const OPENED = new Set(["session_started", "session_resumed"]);

/** A session that could not start or was cut: `code` is stable, `message` is for people. */
export class PennyError extends Error {
  constructor({ code, message, retryable = false, field = null, retry_after_ms = null }) {
    super(message);
    this.name = "PennyError";
    Object.assign(this, { code, retryable, field, retry_after_ms });
  }
}

/** Subprotocols that carry a client secret; none without one. */
export function protocolsFor(secret) {
  return secret ? ["penny", KEY_PROTOCOL + secret] : [];
}

export class Connection {
  #socket;
  #waiting; // {resolve, reject} until the session is open
  #closed = false;

  /** `handlers`: onEvent(event), onAudio(ArrayBuffer), onClosed({code, reason}) of an open session. */
  constructor(url, protocols, handlers) {
    this.handlers = handlers;
    this.#socket = new WebSocket(url, protocols);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = (close) => this.#onClose(close);
  }

  /** Send `session_start` or `session_resume` and wait for its answer. Rejects with PennyError. */
  open(message) {
    return new Promise((resolve, reject) => {
      const late = { code: "start_timeout", message: "no session_started", retryable: true };
      const timer = setTimeout(() => this.cancel(new PennyError(late)), START_TIMEOUT_MS);
      const settle = (how) => (value) => {
        clearTimeout(timer);
        this.#waiting = null;
        how(value);
      };
      this.#waiting = { resolve: settle(resolve), reject: settle(reject) };
      this.#socket.onopen = () => this.send(message);
    });
  }

  /** Give up waiting for the session. */
  cancel(error) {
    this.#waiting?.reject(error);
    this.close();
  }

  /** Whether the message was handed to the network. */
  send(message) {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Late speech is worse than lost speech: refused, not piled up, when the network is behind. */
  sendAudio(pcm) {
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) return false;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(pcm);
    return true;
  }

  /** Close from this side; `onClosed` stays silent. */
  close() {
    this.#closed = true;
    this.#socket.close();
  }

  #receive(data) {
    if (this.#closed) return;
    if (typeof data !== "string") {
      this.handlers.onAudio(data);
      return;
    }
    const event = JSON.parse(data);
    this.handlers.onEvent(event);
    if (OPENED.has(event.type)) this.#waiting?.resolve(event);
    // Before the session is open nothing else can come of an error.
    else if (event.type === "error") this.#waiting?.reject(new PennyError(event));
  }

  #onClose({ code, reason }) {
    if (this.#closed) return;
    this.#closed = true;
    const message = reason || `connection closed (${code})`;
    const lost = new PennyError({ code: "connection_lost", message, retryable: true });
    if (this.#waiting) this.#waiting.reject(lost);
    else this.handlers.onClosed({ code, reason });
  }
}
