// PennyClient: a session with Penny from a browser. No dependencies; types in client.d.ts.

import { Microphone, MicrophoneError, Player } from "./audio.js";

export { MicrophoneError };

export const PROTOCOL_VERSION = "1.0";

const RATE_HZ = 24000;
const REPORT_EVERY_MS = 200; // how often playback is reported to Penny
const MAX_UNSENT_BYTES = 192_000; // four seconds of audio that the network has not taken yet
const CLOSED_BY_US = 1000;
const GOODBYE_MS = 2000; // how long a hang-up waits for Penny's totals
const CANCELLED = { code: "cancelled", message: "ended by the caller" };
const START_TIMEOUT_MS = 120_000; // a cold private mode may take this long to wake up

/** A session that could not start or was cut: `code` is stable, `message` is for people. */
export class PennyError extends Error {
  constructor({ code, message, retryable = false, field = null, retry_after_ms = null }) {
    super(message);
    this.name = "PennyError";
    Object.assign(this, { code, retryable, field, retry_after_ms });
  }
}

/**
 * One session at a time. Every server event is dispatched under its `type` with the event as
 * `detail`, and once more as `message`. Besides: `state`, `level`, `played`, `closed`.
 */
export class PennyClient extends EventTarget {
  #socket = null;
  #context = null;
  #microphone = null;
  #player = null;
  #item = null; // whose audio the binary messages are
  #reported = new Map(); // item -> ms last told to Penny
  #started = null; // {resolve, reject} while waiting for session_started
  #ended = false; // session_ended came
  #cancelled = false; // end() came before there was a connection
  #rateHz = RATE_HZ;
  #muted = false;

  state = "idle";
  session = null;
  droppedFrames = 0;

  /** @param {{url?: string | URL, protocols?: string[]}} [options] */
  constructor({ url, protocols } = {}) {
    super();
    this.url = new URL(url ?? "/ws", globalThis.location?.href);
    this.url.protocol = this.url.protocol.replace(/^http/, "ws");
    this.protocols = protocols ?? [];
  }

  /**
   * Open the session. Call it from a click or a key: browsers allow sound only then.
   * `microphone: false` makes a session of typed turns. Rejects with PennyError or
   * MicrophoneError; afterwards the client is `closed` and may start again.
   */
  async start({ microphone = true, deviceId, rateHz = RATE_HZ, ...wishes } = {}) {
    if (this.state === "connecting" || this.state === "open") {
      throw new PennyError({ code: "already_started", message: "a session is already open" });
    }
    this.#begin(rateHz);
    try {
      this.#player = await this.#openPlayer();
      if (microphone) this.#microphone = await this.#openMicrophone(deviceId);
      if (this.#cancelled) throw new PennyError(CANCELLED);
      this.session = await this.#openSession(wishes);
      this.#setState("open");
      return this.session;
    } catch (error) {
      this.#release();
      this.#setState("closed");
      throw error;
    }
  }

  /** Send a typed turn. */
  sendText(text) {
    this.#send({ type: "text_input", text });
  }

  /** Stop Penny at once: what is buffered is dropped here before Penny knows. */
  interrupt() {
    this.#dropPlayback();
    this.#send({ type: "interrupt" });
  }

  /** A muted caller sends silence. */
  set muted(on) {
    this.#muted = on;
    if (this.#microphone) this.#microphone.enabled = !on;
  }

  get muted() {
    return this.#muted;
  }

  /** Whether this session listens to a microphone. */
  get listening() {
    return this.#microphone !== null;
  }

  /** Hang up. Resolves when the connection is closed, two seconds from now at the latest. */
  async end() {
    this.#cancelled = true;
    if (this.state === "connecting") {
      this.#started?.reject(new PennyError(CANCELLED));
      return;
    }
    if (this.state !== "open") return;
    const socket = this.#socket;
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
    this.#send({ type: "session_end" });
    const patience = new Promise((resolve) => setTimeout(resolve, GOODBYE_MS));
    await Promise.race([closed, patience]);
    this.#onClose(socket, { code: CLOSED_BY_US, reason: "" });
  }

  #begin(rateHz) {
    Object.assign(this, { session: null, droppedFrames: 0 });
    this.#rateHz = rateHz;
    this.#ended = false;
    this.#cancelled = false;
    this.#item = null;
    this.#reported.clear();
    this.#setState("connecting");
    // Before any await, so that it still counts as the caller's own gesture.
    this.#context = new AudioContext({ latencyHint: "interactive" });
    this.#context.resume();
  }

  #openPlayer() {
    const onReport = (report) => this.#onPlayback(report);
    return Player.open(this.#context, { rateHz: this.#rateHz, onReport });
  }

  async #openMicrophone(deviceId) {
    const microphone = await Microphone.open(this.#context, {
      rateHz: this.#rateHz,
      deviceId,
      onFrame: (pcm, level) => this.#onFrame(pcm, level),
      onLost: () => this.#emit("microphone_lost", {}),
    });
    microphone.enabled = !this.#muted;
    return microphone;
  }

  #openSession(wishes) {
    const stream = { encoding: "pcm16", rate_hz: this.#rateHz };
    const start = {
      type: "session_start",
      protocol_version: PROTOCOL_VERSION,
      audio: { input: stream, output: stream },
      ...wishes,
    };
    const socket = new WebSocket(this.url, this.protocols);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#send(start);
    socket.onmessage = ({ data }) => {
      if (this.#socket !== socket) return;
      if (typeof data === "string") this.#onEvent(JSON.parse(data));
      else this.#onAudio(data);
    };
    socket.onclose = (close) => this.#onClose(socket, close);
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      const late = { code: "start_timeout", message: "no session_started", retryable: true };
      const timer = setTimeout(() => reject(new PennyError(late)), START_TIMEOUT_MS);
      const settle = (how) => (value) => {
        clearTimeout(timer);
        this.#started = null;
        how(value);
      };
      this.#started = { resolve: settle(resolve), reject: settle(reject) };
    });
  }

  #send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(message));
  }

  #onFrame(pcm, level) {
    this.#emit("level", { input: level });
    if (this.state !== "open" || this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) {
      // Late speech is worse than lost speech: drop it here rather than pile it up.
      this.droppedFrames += 1;
      if (this.droppedFrames % 50 === 1) this.#emit("congested", { frames: this.droppedFrames });
      return;
    }
    this.#socket.send(pcm);
  }

  #onAudio(pcm) {
    if (this.#item !== null) this.#player?.play(this.#item, pcm);
  }

  #onEvent(event) {
    switch (event.type) {
      case "session_started":
        this.#started?.resolve(event);
        break;
      case "error":
        // Before the session is open nothing else can come of an error.
        this.#started?.reject(new PennyError(event));
        break;
      case "audio_started":
        this.#item = event.item_id;
        break;
      case "audio_done":
        if (this.#item === event.item_id) {
          this.#player?.end(event.item_id);
          this.#item = null;
        }
        break;
      case "interruption":
        this.#dropPlayback();
        break;
      case "session_ended":
        this.#ended = true;
        break;
      default:
    }
    this.#emit(event.type, event);
    this.#emit("message", event);
  }

  #dropPlayback() {
    this.#item = null;
    this.#player?.flush();
  }

  #onPlayback({ type, item, playedMs, ...facts }) {
    const played_ms = Math.round(playedMs ?? 0);
    if (type === "position") {
      this.#emit("level", { output: facts.level });
      const last = this.#reported.get(item) ?? -REPORT_EVERY_MS;
      if (played_ms - last >= REPORT_EVERY_MS) {
        this.#reported.set(item, played_ms);
        this.#send({ type: "playback", item_id: item, played_ms });
      }
    } else if (type === "ended") {
      this.#reported.delete(item);
      this.#emit("level", { output: 0 });
      this.#send({ type: "playback", item_id: item, played_ms, ended: true });
    } else {
      this.#emit(type, { item_id: item });
      return;
    }
    const ended = type === "ended";
    this.#emit("played", { item_id: item, played_ms, ended, dropped: facts.dropped ?? false });
  }

  #onClose(socket, { code, reason }) {
    if (this.#socket !== socket) return;
    const message = reason || `connection closed (${code})`;
    this.#started?.reject(new PennyError({ code: "connection_lost", message, retryable: true }));
    const wasOpen = this.state === "open";
    this.#release();
    if (!wasOpen) return; // start() tells
    this.#setState("closed");
    this.#emit("closed", { code, reason, expected: this.#ended || code === CLOSED_BY_US });
  }

  #release() {
    this.#microphone?.close();
    this.#player?.close();
    this.#context?.close();
    this.#socket?.close();
    Object.assign(this, { session: null });
    this.#microphone = null;
    this.#player = null;
    this.#context = null;
    this.#socket = null;
    this.#item = null;
  }

  #setState(state) {
    this.state = state;
    this.#emit("state", { state });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
