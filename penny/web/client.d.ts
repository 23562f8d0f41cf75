// Types of client.js. The events and messages themselves are in protocol.d.ts, generated.

import type {
  ClientMessage,
  ServerMessage,
  SessionError,
  SessionStart,
  SessionStarted,
} from "./protocol.js";

export type { ClientMessage, ServerMessage };

export const PROTOCOL_VERSION: string;

export type State = "idle" | "connecting" | "open" | "reconnecting" | "closed";

export interface Options {
  /** Where Penny listens; default `/ws` of the page's own host. http(s) becomes ws(s). */
  url?: string | URL;
  /** A short-lived key from `POST /v1/realtime/client_secrets`, or a function that gets a fresh
   * one: it is asked again for each connection. It travels as a WebSocket subprotocol. */
  clientSecret?: string | (() => string | Promise<string>);
  /** WebSocket subprotocols, in place of those of `clientSecret`. */
  protocols?: string[];
  /** Folder that serves capture-worklet.js, player-worklet.js and resampler.js; for bundlers that
   * move modules. Default: beside this module. */
  worklets?: string | URL;
  /** Whether the voices go by WebRTC, where Penny offers it: `auto` when the socket has stuttered
   * three times. The socket carries them until it stands, and when it is lost. Default `auto`. */
  webrtc?: "auto" | "always" | "never";
  /** How long a cut connection is tried again. 0: never. Default 30000. */
  reconnectMs?: number;
}

/** What `start` takes: the wishes of `session_start`, and where the voice comes from. */
export interface Wishes extends Omit<SessionStart, "type" | "protocol_version" | "audio"> {
  /** False for a session of typed turns. Default true. */
  microphone?: boolean;
  /** A microphone from `navigator.mediaDevices.enumerateDevices()`. */
  deviceId?: string;
  /** Rate of both directions, PCM16. Default 24000. */
  rateHz?: 8000 | 16000 | 24000 | 48000;
}

type ServerEvents = { [Type in ServerMessage["type"]]: Extract<ServerMessage, { type: Type }> };

/** Events of the client's own, beside the server's. */
export interface LocalEvents {
  /** Every server event once more. */
  message: ServerMessage;
  state: { state: State };
  /** RMS from 0 to 1, of the microphone or of the playback; about 50 and 10 a second. */
  level: { input?: number; output?: number };
  /** What has been played of an item; `dropped` when the rest of it never will be. */
  played: { item_id: string; played_ms: number; ended: boolean; dropped: boolean };
  /** The jitter buffer ran dry in the middle of an item. */
  underrun: { item_id: string };
  /** Audio came so far ahead of playback (60 s) that some was refused. */
  overflow: { item_id: string };
  /** The network does not take the microphone's audio; frames are dropped. */
  congested: { frames: number };
  /** The voices go this way from now on. */
  media: { by: "webrtc" | "socket" };
  microphone_lost: Record<string, never>;
  /** The device took the sound away (a phone call, a locked screen), or gave it back. It is asked
   * for again when the page is seen and at the next click or key. */
  sound: { on: boolean };
  /** The connection broke; another is being tried. */
  reconnecting: { attempt: number };
  /** It is back: the same session when `resumed`, else a new one that knows nothing of the old. */
  reconnected: { resumed: boolean; attempt: number; gap_ms: number };
  /** An open session ended and is not tried again; `expected` when either side hung up properly. */
  closed: { code: number; reason: string; expected: boolean };
}

export type Events = ServerEvents & LocalEvents;

/** A session that could not start, or was cut before it did. */
export class PennyError extends Error {
  /** From the protocol's table, or `already_started`, `cancelled`, `connection_lost`,
   * `start_timeout`, `secret_failed`. */
  code: string;
  retryable: boolean;
  field: string | null;
  retry_after_ms: number | null;
  constructor(facts: Pick<SessionError, "code" | "message"> & Partial<SessionError>);
}

/** Why the microphone cannot be used. */
export class MicrophoneError extends Error {
  code: "insecure" | "refused" | "missing" | "failed";
  constructor(code: MicrophoneError["code"], message: string);
}

interface TypedTarget
  extends Omit<EventTarget, "addEventListener" | "removeEventListener"> {
  addEventListener<Type extends keyof Events>(
    type: Type,
    listener: (event: CustomEvent<Events[Type]>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof Events>(
    type: Type,
    listener: (event: CustomEvent<Events[Type]>) => void,
    options?: boolean | EventListenerOptions,
  ): void;
}
declare const TypedTarget: new () => TypedTarget;

export class PennyClient extends TypedTarget {
  readonly state: State;
  readonly session: SessionStarted | null;
  readonly droppedFrames: number;
  readonly listening: boolean;
  muted: boolean;
  constructor(options?: Options);
  /** Call it from a click or a key. Rejects with PennyError or MicrophoneError. */
  start(wishes?: Wishes): Promise<SessionStarted>;
  /** While the line is broken it waits; a new session in place of the old one does not get it. */
  sendText(text: string): void;
  interrupt(): void;
  end(): Promise<void>;
}
