// LiveKit's agents-js: `openai.realtime.RealtimeModel`, without a room.
import { initializeLogger, llm } from "@livekit/agents";
import * as openai from "@livekit/agents-plugin-openai";
import { AudioFrame } from "@livekit/rtc-node";
import * as cases from "./cases.mjs";

initializeLogger({ pretty: false, level: "silent" });

async function talking(body) {
  const model = new openai.realtime.RealtimeModel({
    model: "gpt-realtime",
    baseURL: `${cases.penny.http}/v1`,
    apiKey: "any",
  });
  const session = model.session();
  const inbox = new cases.Inbox();
  session.on("openai_server_event_received", (event) => inbox.push(event));
  session.on("generation_created", (about) => inbox.push({ type: "generation", about }));
  let failure = null;
  session.on("error", (error) => (failure = error));
  try {
    await body(session, inbox);
    if (failure !== null) throw failure.error ?? failure;
  } finally {
    await session.close();
    await model.close();
  }
}

function say(session, pcm) {
  return cases.stream(pcm, (frame) => {
    const samples = new Int16Array(new Uint8Array(frame).buffer);
    session.pushAudio(new AudioFrame(samples, cases.RATE_HZ, 1, samples.length));
  });
}

async function write(session, text, role = "user") {
  const context = session.chatCtx.copy();
  context.addMessage({ role, content: text });
  await session.updateChatCtx(context);
}

// Words and audio samples of every message of a generation.
async function collect(generation) {
  let [text, samples] = ["", 0];
  for await (const message of generation.messageStream) {
    for await (const words of message.textStream) text += words.text ?? words;
    for await (const frame of message.audioStream) samples += frame.samplesPerChannel;
  }
  return [text, samples];
}

await cases.main("livekit-js", {
  "voice turn": () =>
    talking(async (session, inbox) => {
      await say(session, cases.penny.question);
      const { about } = await inbox.type("generation");
      const [text, samples] = await collect(about);
      cases.check(text && samples > cases.RATE_HZ, `${text} ${samples}`);
      await inbox.type("conversation.item.input_audio_transcription.completed");
    }),
  interruption: () =>
    talking(async (session, inbox) => {
      await write(session, cases.QUESTION);
      await session.generateReply();
      const first = await inbox.type("response.output_audio.delta");
      await say(session, cases.penny.interruption);
      await inbox.type("input_audio_buffer.speech_started");
      await session.interrupt();
      const cut = { messageId: first.item_id, audioEndMs: 200, modalities: ["audio"] };
      await session.truncate(cut);
      const told = await inbox.type("conversation.item.truncated");
      cases.check(told.item_id === first.item_id, told.item_id);
    }),
  "function call": () =>
    talking(async (session) => {
      const lookUp = llm.tool({
        name: cases.TOOL_NAME,
        description: cases.TOOL_DESCRIPTION,
        parameters: cases.TOOL_SCHEMA,
        execute: async () => cases.TOOL_OUTPUT,
      });
      await session.updateTools(new llm.ToolContext([lookUp]));
      await write(session, cases.TOOL_REQUEST);
      const generation = await session.generateReply();
      for await (const call of generation.functionStream) {
        cases.check(call.name === cases.TOOL_NAME, call.name);
        cases.check(call.args.includes("F-2024-1234"), call.args);
        return;
      }
      throw new Error("nothing was called");
    }),
  "text turn": () =>
    talking(async (session) => {
      await write(session, cases.QUESTION);
      const [text] = await collect(await session.generateReply());
      cases.check(text, "nothing was said");
    }),
  "system item": () =>
    talking(async (session, inbox) => {
      await write(session, "El cliente se llama Juan.", "system");
      const added = await inbox.type("conversation.item.added");
      cases.check(added.item.role === "system", added.item.role);
      await write(session, cases.QUESTION);
      const [text] = await collect(await session.generateReply());
      cases.check(text, "nothing was said");
    }),
});
