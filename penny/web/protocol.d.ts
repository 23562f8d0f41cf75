// Penny session protocol 1.0. Generated from penny/protocol by `make protocol`; do not edit.

export type ClientMessage =
  | SessionStart
  | SessionResume
  | SessionEnd
  | Ping
  | MediaOffer
  | TextInput
  | Playback
  | Interrupt;

export type ServerMessage =
  | MediaAnswer
  | Pong
  | SessionStarted
  | ModeChanged
  | SessionResumed
  | SessionProgress
  | SessionEnded
  | SpeechStarted
  | SpeechStopped
  | TranscriptDelta
  | TranscriptFinal
  | TranscriptHeard
  | AudioStarted
  | AudioDone
  | Interruption
  | ResponseDone
  | ContextUpdate
  | Sources
  | Correction
  | ToolCall
  | Handoff
  | TurnMetrics
  | Cost
  | SessionWarning
  | SessionError;

/** No more audio of this item follows. */
export interface AudioDone {
  type: "audio_done";
  /** The turn being answered. */
  turn_id: string;
  /** The response it belongs to. */
  response_id: string;
  /** The item whose audio is complete. */
  item_id: string;
  /** Audio sent of this item. */
  duration_ms: number;
}

/** The audio of both directions as agreed. */
export interface AudioFormats {
  /** What the client sends. */
  input: StreamFormat;
  /** What Penny sends. */
  output: StreamFormat;
}

/** The audio the client wants. */
export interface AudioRequest {
  /** What the client will send. Absent: pcm16 at 24000 Hz. */
  input?: StreamRequest;
  /** What Penny shall send. Absent: the same as input. */
  output?: StreamRequest | null;
}

/** The binary messages that follow are the audio of this item, until `audio_done`. */
export interface AudioStarted {
  type: "audio_started";
  /** The turn being answered. */
  turn_id: string;
  /** The response it belongs to. */
  response_id: string;
  /** The item whose audio follows; `playback` reports name it. */
  item_id: string;
}

/** What this session can do, so that a page shows only what works. */
export interface Capabilities {
  /** Typed turns are answered. */
  text_input: boolean;
  /** Speaking over Penny stops her. */
  interruption: boolean;
  /** A brain works behind the speaker: `context_update` and `correction` may come. */
  context_updates: boolean;
  /** `tool_call` may come. */
  tools: boolean;
  /** `cost` comes after each turn. */
  cost: boolean;
  /** `resume_token` takes the session up again after a lost connection. */
  resume: boolean;
}

/** EXTERNAL: the brain that analyses in the background. Absent fields take penny.yaml's. */
export interface Cerebro {
  /** Who runs the brain, e.g. `anthropic`. */
  provider?: string | null;
  /** Model name; a retired one is mapped to its successor with a `warning`. */
  model?: string | null;
  /** How much the brain thinks per analysis. */
  analysis_depth?: "quick" | "standard" | "deep" | null;
  /** Which collection it looks things up in: `kb://company/collection`. */
  knowledge_base_ref?: string | null;
  /** When it analyses. */
  update_frequency?: "every_turn" | "every_n_turns" | "on_demand" | null;
  /** With `every_n_turns`: analyse each n-th turn. */
  every_n?: number | null;
}

/**
 * What the application knows about this session. Further fields reach the brain as they are.
 */
export interface Context {
  /** The application's own name for the caller. */
  user_id?: string | null;
  /** Why the session exists, e.g. `atencion_cliente`. */
  session_purpose?: string | null;
  /** Names of the actions the session may take. */
  available_actions?: Array<string>;
  [name: string]: unknown;
}

/** A folio is in force: the speaker's next answer knows it. */
export interface ContextUpdate {
  type: "context_update";
  /** The folio. */
  context_update: Folio;
  /** The turn it was made from; null before the first. */
  turn_id: string | null;
  /** Counts up with each change of the speaker's context. */
  revision: number;
  /** Where it was placed in the speaker's context, e.g. `instructions` or `system_item`. */
  placement: string | null;
  /** What it rests on. */
  passages: Array<Passage>;
  /** From the end of the turn to this folio being in force. */
  latency_ms: number | null;
  /** What this analysis and its placement cost, in US dollars. */
  usd: number | null;
}

/** The speaker said something wrong; it has been told to put it right. */
export interface Correction {
  type: "correction";
  /** As the specification has it. */
  correction_needed: boolean;
  /** Kind of mistake, e.g. `factual_error`. */
  correction_type: string;
  /** The words at fault. */
  what_gpt_said: string;
  /** What holds. */
  correct_info: string;
  /** Whether the speaker was told. */
  inject_correction: boolean;
  /** The turn in which it was said; null when unknown. */
  turn_id: string | null;
  /** Penny's item at fault; null when unknown. */
  item_id: string | null;
  /** Revision of the speaker's context that carries it. */
  revision: number;
}

/** What the session has cost so far. */
export interface Cost {
  type: "cost";
  /** US dollars since the session began. */
  usd_total: number;
  /** US dollars of the last turn; null when not split by turn. */
  usd_turn: number | null;
  /** US dollars since the session began by component (`portavoz`, `cerebro`, `worker`). */
  usd_by: Record<string, number>;
  /** The turn that was counted last; null before the first. */
  turn_id: string | null;
  /** Session time that was counted. */
  duration_ms: number | null;
}

/** The brain's context update, in the specification's words. */
export interface Folio {
  /** When the brain wrote it: ISO 8601, UTC. */
  timestamp: string;
  /** What the caller wants. */
  user_intent: string;
  /** Facts for the answer, by name. */
  relevant_data: Record<string, unknown>;
  /** What the answer should contain. */
  suggested_response_elements: Array<string>;
  /** How it should sound. */
  tone_guidance: string;
  /** What to keep in mind, or not to say. */
  warnings: Array<string>;
}

/** The conversation goes to a person. */
export interface Handoff {
  type: "handoff";
  /** What the person should know. */
  summary: string;
  /** Why; null when the caller simply asked. */
  reason: string | null;
  /** Where it goes: a queue or a number, as configured; null when not shown to clients. */
  destination: string | null;
  /** Further facts by name; may be empty. */
  details: Record<string, unknown>;
}

/** The caller pressed a button: stop talking. Answered by `interruption` if Penny talks. */
export interface Interrupt {
  type: "interrupt";
}

/** The caller stopped Penny: drop all audio not yet played, then report `playback` once. */
export interface Interruption {
  type: "interruption";
  /** The turn whose answer was cut. */
  turn_id: string;
  /** The item that was being heard; null when no audio of the response had begun. */
  item_id: string | null;
  /** Audio of the item that was heard. */
  heard_ms: number;
  /** The words that were heard: what the history keeps. */
  heard_text: string;
  /** The words that were not. */
  cut_text: string;
}

/**
 * When each stage was reached, in ms after the caller's speech ended; null when unknown. A
 * typed turn counts from the arrival of its text. Values may be negative for a stage that was
 * reached early (a transcript made while the caller still spoke).
 */
export interface LatencyMs {
  /** The origin: always 0. */
  speech_end: number;
  /** The turn was taken to be over. */
  turn_decided: number | null;
  /** The final transcript was known. */
  transcript: number | null;
  /** The first word of the answer was known. */
  first_token: number | null;
  /** The first audio of the answer left Penny. */
  first_audio: number | null;
  /** The response ended. */
  done: number | null;
}

/** The answer to a `media_offer`. One that cannot be taken gets an `error` instead. */
export interface MediaAnswer {
  type: "media_answer";
  /** With every candidate in it. */
  sdp: string;
}

/**
 * Asks to carry the audio by WebRTC from now on, where `session_started.webrtc` is true. Once
 * the connection stands, audio goes on its tracks, both ways, and no binary messages come; when
 * it is lost, they come again. Everything else stays on the socket.
 */
export interface MediaOffer {
  type: "media_offer";
  /** An offer with one audio track, to send and to receive. */
  sdp: string;
}

/**
 * Another mode answers from now on: a private session whose worker stayed cold was moved. What
 * the caller said before stays behind; what they say now goes where `privacy` says.
 */
export interface ModeChanged {
  type: "mode_changed";
  /** The mode that answers from now on. */
  mode: string;
  /** Where voice and text go in that mode, for the person who calls. */
  privacy: string;
  /** What talks back from now on. */
  speaker: SpeakerInfo;
  /** What this session can do from now on; `resume` stays as it was. */
  capabilities: Capabilities;
}

/** A sentence for the person who calls, in both languages. */
export interface Notice {
  /** In Spanish. */
  es: string;
  /** In English. */
  en: string;
}

/** A piece of the knowledge base that stands behind a folio or an answer. */
export interface Passage {
  /** Stable id of the passage. */
  id: string;
  /** Where it comes from: file or record, within its collection. */
  source: string;
  /** Heading path. */
  title: string;
  /** The passage, possibly shortened. */
  text: string;
  /** How well it answers, 0 to 1; null when the index does not say. */
  score: number | null;
}

/** Asks for a `pong`; measures the round trip and keeps proxies awake. */
export interface Ping {
  type: "ping";
  /** Comes back in the `pong`. */
  nonce?: string | null;
}

/** What the client has really played of an item. Interruptions cut the history to it. */
export interface Playback {
  type: "playback";
  /** The item, as in `audio_started`. */
  item_id: string;
  /** Audio of this item that left the loudspeaker, in ms since the item began. */
  played_ms: number;
  /**
   * True in the last report of an item: no more of it will be played (all was, or the rest was
   * dropped).
   */
  ended?: boolean;
}

/** The answer to a `ping`. */
export interface Pong {
  type: "pong";
  /** The ping's own. */
  nonce: string | null;
}

/** EXTERNAL: the speaker that holds the conversation. Absent fields take penny.yaml's. */
export interface Portavoz {
  /** Who runs the speaker, e.g. `openai`. */
  provider?: string | null;
  /** Model name; a retired one is mapped to its successor with a `warning`. */
  model?: string | null;
  /** Voice name of that provider, e.g. `alloy`. */
  voice?: string | null;
  /** BCP-47 language the speaker talks, e.g. `es`. */
  language?: string | null;
  /** System prompt before the brain's first folio; at most 16000 characters. */
  initial_system_prompt?: string | null;
}

/** A response ended. Its audio may still be playing at the client. */
export interface ResponseDone {
  type: "response_done";
  /** The turn that was answered. */
  turn_id: string;
  /** The response. */
  response_id: string;
  /** How it ended; `cancelled` when the caller interrupted. */
  status: "completed" | "cancelled" | "failed" | "incomplete";
}

/** The client hangs up; Penny answers `session_ended` and closes. */
export interface SessionEnd {
  type: "session_end";
}

/** The last event of a session; the connection closes after it. */
export interface SessionEnded {
  type: "session_ended";
  /** Why it ended. */
  reason: "client_ended" | "client_gone" | "client_does_not_read" | "handoff" | "idle" | "time_limit" | "cost_limit" | "speaker_lost" | "drain" | "operator" | "error";
  /** A sentence for a person when there is more to say; null otherwise. */
  message: string | null;
  /** What the session came to. */
  totals: Totals;
  /** Further facts by name, for the record; may be empty. */
  details: Record<string, unknown>;
}

/** Something failed. The session goes on unless the connection closes after it. */
export interface SessionError {
  type: "error";
  /** Machine name from the table of error codes. */
  code: string;
  /** What is wrong and how to mend it. */
  message: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** The field at fault, dotted; null when none. */
  field: string | null;
  /** When to try again; null when not known. */
  retry_after_ms: number | null;
}

/**
 * A mode is waking up (cold start): before `session_started`, or after it while Penny keeps the
 * caller company. The stage `ready` ends it.
 */
export interface SessionProgress {
  type: "session_progress";
  /** Machine name, e.g. `leasing_worker`, `loading_models`, `connecting`, `ready`. */
  stage: string;
  /** For the person who waits. */
  message: string;
  /** Expected time until Penny can answer; null when unknown. */
  eta_ms: number | null;
}

/** The first message of a connection that takes a cut session up again. */
export interface SessionResume {
  type: "session_resume";
  /** The token that `session_started` gave. */
  resume_token: string;
  /**
   * Messages received in this session, text and binary alike; `session_started` is number 1,
   * and `session_resumed` does not count.
   */
  received: number;
}

/** The session goes on; every message that was missed follows, in order. */
export interface SessionResumed {
  type: "session_resumed";
  /** The session taken up again. */
  session_id: string;
  /** How many missed messages follow, text and binary. */
  replayed: number;
  /**
   * The client's own text messages that arrived in this session, `session_start` and
   * `session_resume` not counted: a line that broke may have taken more, to be sent again.
   */
  received: number;
  /** Missed audio that is no longer kept: the oldest goes first. Events are never lost. */
  lost_audio_ms: number;
}

/** The first message of a connection: who shall answer, and how the audio travels. */
export interface SessionStart {
  type: "session_start";
  /** Version the client was written for; another major version earns a `warning`. */
  protocol_version?: string | null;
  /** Mode name from GET /v1/modes. Absent: the default mode. */
  mode?: string | null;
  /** BCP-47 language of the conversation. Absent: portavoz.language, else Spanish. */
  language?: string | null;
  /** Audio of both directions. Absent: pcm16 at 24000 Hz. */
  audio?: AudioRequest;
  /** What Penny says first. Empty: nothing. Absent: the mode's own. */
  greeting?: string | null;
  /** The speaker of EXTERNAL. */
  portavoz?: Portavoz | null;
  /** The brain of EXTERNAL. */
  cerebro?: Cerebro | null;
  /** What the application knows about the session. */
  context?: Context;
}

/** The session is open; audio may flow both ways. */
export interface SessionStarted {
  type: "session_started";
  /** Names the session in logs, records and the operator's page. */
  session_id: string;
  /** The mode that answers. */
  mode: string;
  /** Version that Penny speaks. */
  protocol_version: string;
  /** The audio of both directions, every default filled in. */
  audio: AudioFormats;
  /** BCP-47 language of the conversation. */
  language: string;
  /** What talks back. */
  speaker: SpeakerInfo;
  /** What the caller should know about this mode's ears or voice; null when nothing. */
  notice: Notice | null;
  /** What this session can do. */
  capabilities: Capabilities;
  /** `media_offer` may be sent. */
  webrtc: boolean;
  /** The session ends by itself after this long; null when unlimited. */
  max_duration_ms: number | null;
  /** Takes the session up again when the connection is lost; null when resuming is off. */
  resume_token: string | null;
  /** How long a lost session waits for `session_resume`; null when resuming is off. */
  resume_within_ms: number | null;
}

/** Something was put right or left out; the session goes on. */
export interface SessionWarning {
  type: "warning";
  /** Machine name from the table of warning codes. */
  code: string;
  /** What happened, for a developer. */
  message: string;
  /** The field concerned, dotted; null when none. */
  field: string | null;
}

/**
 * What an answer of a private session rests on; after its `response_done`. An answer that rests
 * on nothing in the documents has none.
 */
export interface Sources {
  type: "sources";
  /** The turn that was answered; null when unknown. */
  turn_id: string | null;
  /** Penny's item. */
  item_id: string | null;
  /** The passages, the likeliest first. */
  passages: Array<Passage>;
}

/** What talks back in this session. */
export interface SpeakerInfo {
  /** Model or engine, e.g. `gpt-realtime` or `embedded`. */
  model: string;
  /** Voice it speaks with. */
  voice: string | null;
  /** Who runs it; null for Penny's own worker. */
  provider: string | null;
}

/** The caller began to speak. */
export interface SpeechStarted {
  type: "speech_started";
  /** The turn that begins. */
  turn_id: string;
  /** Onset, in ms of audio received since the session began. */
  at_ms: number;
}

/** The caller's turn is over. */
export interface SpeechStopped {
  type: "speech_stopped";
  /** The turn that ended. */
  turn_id: string;
  /** End of speech, in ms of audio received since the session began. */
  at_ms: number;
}

/** One direction's audio as agreed. Mono; PCM16 is signed little-endian. */
export interface StreamFormat {
  /** pcm16, pcmu (G.711 mu-law) or pcma (G.711 A-law). */
  encoding: "pcm16" | "pcmu" | "pcma";
  /** Samples per second; 8000 for G.711. */
  rate_hz: 8000 | 16000 | 24000 | 48000;
}

/** One direction's audio as the client wants it. */
export interface StreamRequest {
  /** pcm16 (signed little-endian), pcmu (G.711 mu-law) or pcma (G.711 A-law). Mono always. */
  encoding?: "pcm16" | "pcmu" | "pcma";
  /** Samples per second. Absent: 24000 for pcm16, 8000 for G.711, which has no other rate. */
  rate_hz?: 8000 | 16000 | 24000 | 48000 | null;
}

/** A typed turn: answered as if it had been spoken. */
export interface TextInput {
  type: "text_input";
  /** What the caller typed; 1 to 4000 characters. */
  text: string;
}

/** An action is taken in the caller's name; sent again on each change of status. */
export interface ToolCall {
  type: "tool_call";
  /** Names this call. */
  call_id: string;
  /** The action. */
  name: string;
  /** Where it stands. */
  status: "started" | "completed" | "failed" | "refused";
  /** The turn that asked for it; null when unknown. */
  turn_id: string | null;
  /** What it was called with; null when not shown to clients. */
  arguments: Record<string, unknown> | null;
  /** What came of it; null until completed, or when not shown to clients. */
  result: Record<string, unknown> | null;
  /** Why it failed or was refused; null otherwise. */
  message: string | null;
}

/** What a session came to. */
export interface Totals {
  /** From `session_started` to the end. */
  duration_ms: number;
  /** Caller turns, spoken and typed. */
  turns: number;
  /** Times the caller stopped Penny. */
  interruptions: number;
  /** Audio received from the client. */
  audio_in_ms: number | null;
  /** Audio sent to the client. */
  audio_out_ms: number | null;
  /** Cost in US dollars; null when not metered. */
  usd: number | null;
  /** Cost by component (`portavoz`, `cerebro`, `worker`). */
  usd_by: Record<string, number>;
}

/** More text of one side, as it becomes known. Append it to the item's text so far. */
export interface TranscriptDelta {
  type: "transcript_delta";
  /** Who says it. */
  role: "user" | "penny";
  /** The turn it belongs to. */
  turn_id: string;
  /** The item it belongs to. */
  item_id: string;
  /** Text to append, spaces included. */
  delta: string;
}

/** The whole text of an item. Replaces what the deltas gave. */
export interface TranscriptFinal {
  type: "transcript_final";
  /** Who says it. */
  role: "user" | "penny";
  /** The turn it belongs to. */
  turn_id: string;
  /** The item it belongs to. */
  item_id: string;
  /** For `user` what was understood; for `penny` what was generated. */
  text: string;
  /** `user` only: false when the ears rejected what they heard; null when they cannot tell. */
  understood: boolean | null;
  /** BCP-47 language of the text; null when unknown. */
  language: string | null;
  /** `penny` only: what the caller heard, when already known; else `transcript_heard` tells. */
  heard: string | null;
}

/** What the caller really heard of an item of Penny's, once its playback is over. */
export interface TranscriptHeard {
  type: "transcript_heard";
  /** The turn it belongs to. */
  turn_id: string;
  /** Penny's item. */
  item_id: string;
  /** The words that were heard. */
  text: string;
  /** Audio of the item that was heard. */
  heard_ms: number;
  /** True when the item was heard to its end. */
  complete: boolean;
}

/** Where the time of a turn went; sent once, after `response_done`. */
export interface TurnMetrics {
  type: "turn_metrics";
  /** The turn. */
  turn_id: string;
  /** When each stage was reached. */
  latency_ms: LatencyMs;
  /** Whether the caller spoke or typed. */
  input: "speech" | "text";
  /** Whether the answer was cut. */
  interrupted: boolean;
  /** How long the caller spoke; null for a typed turn. */
  speech_ms: number | null;
  /** How much audio the answer had; null when none. */
  audio_ms: number | null;
}
