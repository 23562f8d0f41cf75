// openai-node: `OpenAIRealtimeWS`.
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import * as cases from "./cases.mjs";

async function talking(props, body) {
  const client = new OpenAI({ apiKey: "any", baseURL: `${cases.penny.http}/v1` });
  const rt = new OpenAIRealtimeWS(props, client);
  const inbox = new cases.Inbox();
  rt.on("event", (event) => inbox.push(event));
  let failure = null;
  rt.on("error", (error) => (failure = error));
  await inbox.type("session.created");
  try {
    await body(rt, inbox);
    if (failure !== null) throw failure;
  } finally {
    rt.close();
  }
}

const conversation = { model: "gpt-realtime-2" };

function configure(rt, inbox, session) {
  rt.send({ type: "session.update", session: { type: "realtime", ...session } });
  return inbox.type("session.updated");
}

function write(rt, text, role = "user") {
  const content = [{ type: "input_text", text }];
  rt.send({ type: "conversation.item.create", item: { type: "message", role, content } });
}

const say = (rt, pcm) =>
  cases.stream(pcm, (frame) =>
    rt.send({ type: "input_audio_buffer.append", audio: frame.toString("base64") }),
  );

function deltas(inbox, kind) {
  return inbox.entries.filter((event) => event.type === kind).map((event) => event.delta);
}

await cases.main("openai-node", {
  "voice turn": () =>
    talking(conversation, async (rt, inbox) => {
      const input = { transcription: { model: "gpt-4o-mini-transcribe" } };
      await configure(rt, inbox, { audio: { input } });
      await say(rt, cases.penny.question);
      const done = await inbox.type("response.done");
      cases.check(done.response.status === "completed", done.response.status);
      const bytes = deltas(inbox, "response.output_audio.delta")
        .map((delta) => Buffer.from(delta, "base64").length)
        .reduce((sum, length) => sum + length, 0);
      cases.check(bytes > cases.RATE_HZ * 2, `${bytes} bytes of audio`);
      const heard = await inbox.type("conversation.item.input_audio_transcription.completed");
      cases.checkWords(heard.transcript);
    }),
  interruption: () =>
    talking(conversation, async (rt, inbox) => {
      write(rt, cases.QUESTION);
      rt.send({ type: "response.create" });
      const first = await inbox.type("response.output_audio.delta");
      await say(rt, cases.penny.interruption);
      await inbox.type("input_audio_buffer.speech_started");
      const place = { item_id: first.item_id, content_index: 0, audio_end_ms: 200 };
      rt.send({ type: "conversation.item.truncate", ...place });
      const cut = await inbox.type("conversation.item.truncated");
      cases.check(cut.item_id === first.item_id, cut.item_id);
    }),
  "function call": () =>
    talking(conversation, async (rt, inbox) => {
      const tool = { type: "function", name: cases.TOOL_NAME, parameters: cases.TOOL_SCHEMA };
      await configure(rt, inbox, { tools: [tool], tool_choice: "auto" });
      write(rt, cases.TOOL_REQUEST);
      rt.send({ type: "response.create" });
      const call = await inbox.type("response.function_call_arguments.done");
      cases.check(JSON.parse(call.arguments).id === "F-2024-1234", call.arguments);
      await inbox.type("response.done");
      const output = { type: "function_call_output", call_id: call.call_id };
      const item = { ...output, output: cases.TOOL_OUTPUT };
      rt.send({ type: "conversation.item.create", item });
      rt.send({ type: "response.create" });
      await inbox.type("response.output_audio_transcript.done");
    }),
  "text turn": () =>
    talking(conversation, async (rt, inbox) => {
      await configure(rt, inbox, { output_modalities: ["text"] });
      write(rt, cases.QUESTION);
      rt.send({ type: "response.create" });
      const done = await inbox.type("response.done");
      const text = done.response.output[0].content[0].text;
      cases.check(text && text === deltas(inbox, "response.output_text.delta").join(""), text);
    }),
  "system item": () =>
    talking(conversation, async (rt, inbox) => {
      write(rt, "El cliente se llama Juan.", "system");
      write(rt, cases.QUESTION);
      rt.send({ type: "response.create" });
      const done = await inbox.type("response.done");
      cases.check(done.response.status === "completed", done.response.status);
    }),
  "out of band": () =>
    talking(conversation, async (rt, inbox) => {
      const metadata = { topic: "aside" };
      const aside = { conversation: "none", output_modalities: ["text"], metadata };
      rt.send({ type: "response.create", response: aside });
      const done = await inbox.type("response.done");
      cases.check(done.response.conversation_id === null, "in the conversation");
      cases.check(done.response.metadata.topic === "aside", "no metadata");
    }),
  MCP: () =>
    talking(conversation, async (rt, inbox) => {
      const server = { type: "mcp", server_label: cases.MCP_LABEL, server_url: cases.penny.mcp };
      await configure(rt, inbox, { tools: [{ ...server, require_approval: "never" }] });
      await inbox.type("mcp_list_tools.completed");
      write(rt, cases.MCP_REQUEST);
      rt.send({ type: "response.create" });
      await inbox.type("response.mcp_call.completed");
      const done = ({ type, item }) => type === "conversation.item.done" && item.type === "mcp_call";
      const { item } = await inbox.until(done);
      cases.check(item.output === cases.MCP_OUTPUT, JSON.stringify(item));
      rt.send({ type: "response.create" });
      const said = await inbox.type("response.output_audio_transcript.done");
      cases.check(said.transcript, "nothing was said");
    }),
  transcription: () =>
    talking({ intent: "transcription" }, async (rt, inbox) => {
      const transcription = { model: "gpt-4o-transcribe", language: "es" };
      const audio = { input: { transcription, turn_detection: { type: "server_vad" } } };
      rt.send({ type: "session.update", session: { type: "transcription", audio } });
      await say(rt, cases.penny.question);
      const kind = "conversation.item.input_audio_transcription.completed";
      const completed = await inbox.type(kind);
      cases.checkWords(completed.transcript);
    }),
});
