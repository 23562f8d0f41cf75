// PennyClient: a session with Penny from a browser. No dependencies; types in client.d.ts.

import { Microphone, MicrophoneError, Player } from "./audio.js";
import { Connection, PennyError, protocolsFor } from "./connection.js";
import { Media } from "./media.js";
import { Outbox } from "./outbox.js";
import { Patience } from "./patience.js";

export { MicrophoneError, PennyError };

export const PROTOCOL_VERSION = "1.0";

const RATE_HZ = 24000;
const REPORT_EVERY_MS = 200; // how often playback is reported to Penny
const GOODBYE_MS = 2000; // how long a hang-up waits for Penny's totals
const CLOSED_BY_US = 1000;
const RECONNECT_MS = 30_000; // how long a cut session is tried again
const FINAL_CODES = new Set([1000, 1009, 1011, 4400, 4401, 4404, 4408, 4413, 4429]); // trying again is no use
const STUTTERS = 3; // so often the socket's sound may run dry before WebRTC is tried
const WAKES = [
  [document, "visibilitychange"],
  [document, "pointerdown"],
  [document, "keydown"],
];
const CANCELLED = { code: "cancelled", message: "ended by the caller" };

/**
 * One session at a time. Every server event is dispatched under its `type` with the event as
 * `detail`, and once more as `message`. The client's own events are in client.d.ts.
 */
export class PennyClient extends EventTarget {
  #options;
  #connection = null;
  #context = null;
  #microphone = null;
  #player = null;
  #media = null; // WebRTC beside the socket
  #stutters = 0;
  #wishes = {};
  #item = null; // whose audio the binary messages are
  #reported = new Map(); // item -> ms last told to Penny
  #outbox = new Outbox();
  #received = 0; // messages of this session, session_started being the first
  #ended = false; // either side said goodbye
  #cancel = null; // gives up connecting
  #rateHz = RATE_HZ;
  #muted = false;

  state = "idle";
  session = null;
  droppedFrames = 0;

  /** @param {import("./client").Options} [options] */
  constructor({ url, ...options } = {}) {
    super();
    this.url = new URL(url ?? "/ws", globalThis.location?.href);
    this.url.protocol = this.url.protocol.replace(/^http/, "ws");
    this.#options = { reconnectMs: RECONNECT_MS, webrtc: "auto", ...options };
  }

  /**
   * Open the session. Call it from a click or a key: browsers allow sound only then.
   * `microphone: false` makes a session of typed turns. Rejects with PennyError or
   * MicrophoneError; afterwards the client is `closed` and may start again.
   */
  async start({ microphone = true, deviceId, rateHz = RATE_HZ, ...wishes } = {}) {
    if (this.#isBusy()) {
      throw new PennyError({ code: "already_started", message: "a session is already open" });
    }
    const cancelled = this.#begin(rateHz, wishes);
    try {
      await Promise.race([this.#openAudio(microphone, deviceId), cancelled]);
      this.session = await Promise.race([this.#connect(this.#startMessage()), cancelled]);
      this.#setState("open");
      if (this.#options.webrtc === "always") this.#offerMedia();
      return this.session;
    } catch (error) {
      this.#release();
      this.#setState("closed");
      throw error;
    }
  }

  /** Send a typed turn. While the line is broken it waits for the session to be resumed. */
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
    if (this.state === "reconnecting") this.#finish({ code: CLOSED_BY_US, reason: "" });
    this.#cancel?.(new PennyError(CANCELLED));
    if (this.state !== "open") return;
    const closed = new Promise((resolve) => {
      this.addEventListener("closed", resolve, { once: true });
    });
    this.#send({ type: "session_end" });
    this.#ended = true; // a line that breaks now is not tried again
    const patience = new Promise((resolve) => setTimeout(resolve, GOODBYE_MS));
    await Promise.race([closed, patience]);
    if (this.state === "open") this.#finish({ code: CLOSED_BY_US, reason: "" });
  }

  /** A phone call or a locked screen stops the sound; some browsers want a gesture to go on. */
  #wake = () => {
    if (document.visibilityState === "visible" && this.#context?.state !== "running") {
      this.#context?.resume();
    }
  };

  #onSound() {
    const on = this.#context?.state === "running";
    if (!on) this.#wake();
    if (this.state === "open" || this.state === "reconnecting") this.#emit("sound", { on });
  }

  #isBusy() {
    return ["connecting", "open", "reconnecting"].includes(this.state);
  }

  /** Returns a promise that rejects when the caller gives up. */
  #begin(rateHz, wishes) {
    Object.assign(this, { session: null, droppedFrames: 0 });
    this.#rateHz = rateHz;
    this.#wishes = wishes;
    this.#ended = false;
    this.#received = 0;
    this.#item = null;
    this.#reported.clear();
    this.#outbox = new Outbox();
    const cancelled = new Promise((_, reject) => (this.#cancel = reject));
    cancelled.catch(() => {}); // nobody may be waiting any more
    // Before any await, so that it still counts as the caller's own gesture.
    this.#context = new AudioContext({ latencyHint: "interactive" });
    this.#context.resume();
    this.#context.onstatechange = () => this.#onSound();
    for (const [target, type] of WAKES) target.addEventListener(type, this.#wake, true);
    this.#setState("connecting");
    return cancelled;
  }

  async #openAudio(microphone, deviceId) {
    const context = this.#context;
    const { worklets } = this.#options;
    const onReport = (report) => this.#onPlayback(report);
    const player = await Player.open(context, { rateHz: this.#rateHz, worklets, onReport });
    if (this.#context === context) this.#player = player;
    if (!microphone) return;
    const ears = await Microphone.open(context, {
      rateHz: this.#rateHz,
      deviceId,
      worklets,
      onFrame: (pcm, level) => this.#onFrame(pcm, level),
      onLost: () => this.#emit("microphone_lost", {}),
    });
    if (this.#context !== context) ears.close(); // given up while the browser asked
    else this.#microphone = ears;
    ears.enabled = !this.#muted;
  }

  #startMessage(extra = {}) {
    const stream = { encoding: "pcm16", rate_hz: this.#rateHz };
    const audio = { input: stream, output: stream };
    const protocol_version = PROTOCOL_VERSION;
    return { type: "session_start", protocol_version, audio, ...this.#wishes, ...extra };
  }

  async #secret() {
    const { clientSecret: secret } = this.#options;
    try {
      return typeof secret === "function" ? await secret() : secret;
    } catch (error) {
      throw new PennyError({ code: "secret_failed", message: String(error), retryable: true });
    }
  }

  /** Open a connection, and with this message the session on it. */
  async #connect(message) {
    const context = this.#context;
    const { protocols } = this.#options;
    const secret = await this.#secret();
    if (this.#context !== context) throw new PennyError(CANCELLED);
    this.#connection = new Connection(this.url, protocols ?? protocolsFor(secret), {
      onEvent: (event) => this.#onEvent(event),
      onAudio: (pcm) => this.#onAudio(pcm),
      onClosed: (close) => this.#onClosed(close),
    });
    return this.#connection.open(message);
  }

  /** Not on a connection that is still to get its session: Penny tells there what is missing. */
  #send(message) {
    const given = this.state !== "reconnecting" && Boolean(this.#connection?.send(message));
    if (given || this.state !== "connecting") this.#outbox.add(message, given);
  }

  /** Have the voices go by WebRTC; the socket carries them until that stands, and when it is lost. */
  async #offerMedia() {
    if (this.#media || !this.session?.webrtc || this.#options.webrtc === "never") return;
    const media = (this.#media = new Media(this.#context, {
      onChange: (on) => this.#onMedia(on),
      onLevel: (level) => this.#emit("level", { output: level }),
    }));
    try {
      const sdp = await media.offer(this.#microphone?.stream.getAudioTracks()[0]);
      if (this.#media === media) this.#send({ type: "media_offer", sdp });
    } catch (error) {
      console.warn("WebRTC", error); // the socket goes on
      this.#closeMedia();
    }
  }

  #onMedia(on) {
    if (on) {
      if (this.#item !== null) this.#player?.end(this.#item); // the rest of it comes the other way
    } else {
      this.#media = null;
      this.#stutters = -Infinity; // not again in this session
    }
    this.#emit("media", { by: on ? "webrtc" : "socket" });
  }

  #closeMedia() {
    this.#media?.close();
    this.#media = null;
    this.#stutters = 0;
  }

  /** The network is too bad for a socket. */
  #onStutter() {
    this.#stutters += 1;
    if (this.#stutters >= STUTTERS) this.#offerMedia();
  }

  #onFrame(pcm, level) {
    this.#emit("level", { input: level });
    if (this.#media?.on) return;
    if (this.state !== "open" || this.#connection.sendAudio(pcm)) return;
    this.droppedFrames += 1;
    if (this.droppedFrames === 1) this.#onStutter();
    if (this.droppedFrames % 50 === 1) this.#emit("congested", { frames: this.droppedFrames });
  }

  #onAudio(pcm) {
    this.#received += 1;
    if (this.#item !== null) this.#player?.play(this.#item, pcm);
  }

  #onEvent(event) {
    if (event.type === "session_started") this.#received = 1;
    else if (event.type !== "session_resumed") this.#received += 1;
    if (event.type === "media_answer") {
      this.#media?.answer(event.sdp).catch(() => this.#closeMedia());
    } else if (event.type === "transcript_heard" && this.#media?.on) {
      const { item_id, heard_ms: played_ms, complete } = event;
      this.#emit("played", { item_id, played_ms, ended: true, dropped: !complete });
    } else if (event.type === "audio_started") {
      this.#item = event.item_id;
    } else if (event.type === "audio_done" && this.#item === event.item_id) {
      this.#player?.end(event.item_id);
      this.#item = null;
    } else if (event.type === "interruption") {
      this.#dropPlayback();
    } else if (event.type === "session_ended") {
      this.#ended = true;
    }
    this.#emit(event.type, event);
    this.#emit("message", event);
  }

  #dropPlayback() {
    this.#item = null;
    this.#player?.flush();
  }

  #onPlayback({ type, item, playedMs, ...facts }) {
    if (this.#media?.on) return; // Penny counts what goes on the track
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
      if (type === "underrun") this.#onStutter();
      this.#emit(type, { item_id: item });
      return;
    }
    const ended = type === "ended";
    this.#emit("played", { item_id: item, played_ms, ended, dropped: facts.dropped ?? false });
  }

  #onClosed(close) {
    const tryAgain = !this.#ended && !FINAL_CODES.has(close.code) && this.#options.reconnectMs > 0;
    if (tryAgain) this.#reconnect(close);
    else this.#finish(close);
  }

  /** The connection broke under an open session: take it up again, or begin a new one for it. */
  async #reconnect(close) {
    const patience = new Patience(this.#options.reconnectMs);
    const context = this.#context;
    const token = this.session.resume_token;
    let resuming = token !== null;
    if (!resuming) this.#closeMedia();
    if (!resuming) this.#dropPlayback(); // the answer it belongs to is gone
    this.#setState("reconnecting");
    while (await patience.wait()) {
      if (this.#context !== context) return; // hung up meanwhile
      this.#emit("reconnecting", { attempt: patience.attempt });
      const resume = { type: "session_resume", resume_token: token, received: this.#received };
      try {
        const opened = await this.#connect(resuming ? resume : this.#startMessage({ greeting: "" }));
        this.#goOn(opened, resuming, patience);
        return;
      } catch (error) {
        if (this.#context !== context) return;
        this.#connection?.close();
        if (error.code === "connection_lost" || error.retryable) continue;
        if (!resuming) break; // refused: trying again is no use
        resuming = false; // that session is over
        this.#closeMedia();
        this.#dropPlayback();
      }
    }
    if (this.#context === context) this.#finish(close);
  }

  #goOn(opened, resumed, { attempt, waitedMs }) {
    const missing = resumed ? this.#outbox.missing(opened.received) : [];
    if (!resumed) {
      this.session = opened;
      this.#outbox = new Outbox();
    }
    this.#setState("open");
    for (const message of missing) this.#send(message);
    if (!resumed && this.#options.webrtc === "always") this.#offerMedia();
    this.#emit("reconnected", { resumed, attempt, gap_ms: Math.round(waitedMs) });
  }

  #finish({ code, reason }) {
    this.#release();
    this.#setState("closed");
    this.#emit("closed", { code, reason, expected: this.#ended || code === CLOSED_BY_US });
  }

  #release() {
    for (const [target, type] of WAKES) target.removeEventListener(type, this.#wake, true);
    this.#closeMedia();
    if (this.#context) this.#context.onstatechange = null; // its closing is no news
    const audio = [this.#microphone, this.#player, this.#context, this.#connection];
    Object.assign(this, { session: null });
    this.#microphone = this.#player = this.#context = this.#connection = null;
    this.#item = null;
    this.#cancel = null;
    for (const part of audio) part?.close();
  }

  #setState(state) {
    this.state = state;
    this.#emit("state", { state });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
