// Vercel's AI SDK: a server-owned connection, and `experimental_streamTranscribe`.
import { createOpenAI } from "@ai-sdk/openai";
import { experimental_streamTranscribe as streamTranscribe } from "ai";
import { WebSocket } from "ws";
import * as cases from "./cases.mjs";

const openai = createOpenAI({
  apiKey: "any",
  baseURL: `${cases.penny.http}/v1`,
  webSocket: WebSocket,
});

async function talking(config, body) {
  const model = openai.experimental_realtime("gpt-realtime-2.1", { api: "realtime" });
  const options = { intent: "conversation" };
  const { url, headers, protocols } = await model.getServerWebSocketConfig(options);
  const socket = new WebSocket(url, protocols, { headers });
  const inbox = new cases.Inbox();
  socket.on("message", (data) => {
    const events = model.parseServerEvent(JSON.parse(data.toString()));
    for (const event of [events].flat()) inbox.push(event);
  });
  const send = async (event) => {
    const raw = await model.serializeClientEvent(event, options);
    socket.send(JSON.stringify(raw));
  };
  await inbox.type("session-created");
  await send({ type: "session-update", config: { instructions: "Responde en español.", ...config } });
  await inbox.type("session-updated");
  try {
    await body(send, inbox);
    const failed = inbox.entries.find((event) => event.type === "error");
    cases.check(failed === undefined, failed?.message);
  } finally {
    socket.close();
  }
}

const say = (send, pcm) =>
  cases.stream(pcm, (frame) => send({ type: "input-audio-append", audio: frame.toString("base64") }));

const write = (send, text) =>
  send({ type: "conversation-item-create", item: { type: "text-message", role: "user", text } });

await cases.main("ai-sdk", {
  "voice turn": () =>
    talking(
      { inputAudioTranscription: {}, turnDetection: { type: "server-vad" }, voice: "alloy" },
      async (send, inbox) => {
        await say(send, cases.penny.question);
        await inbox.type("audio-delta");
        const done = await inbox.type("response-done");
        cases.check(done.status === "completed", done.status);
        await inbox.type("input-transcription-completed");
      },
    ),
  "function call": () => {
    const about = { name: cases.TOOL_NAME, description: cases.TOOL_DESCRIPTION };
    const tool = { type: "function", ...about, parameters: cases.TOOL_SCHEMA };
    return talking({ tools: [tool] }, async (send, inbox) => {
      await write(send, cases.TOOL_REQUEST);
      await send({ type: "response-create" });
      const call = await inbox.type("function-call-arguments-done");
      cases.check(JSON.parse(call.arguments).id === "F-2024-1234", call.arguments);
      await inbox.type("response-done");
      const output = { type: "function-call-output", callId: call.callId };
      await send({ type: "conversation-item-create", item: { ...output, output: cases.TOOL_OUTPUT } });
      await send({ type: "response-create" });
      await inbox.type("audio-transcript-done");
    });
  },
  "text turn": () =>
    talking({ outputModalities: ["text"] }, async (send, inbox) => {
      await write(send, cases.QUESTION);
      await send({ type: "response-create" });
      const done = await inbox.type("response-done");
      cases.check(done.usage.outputTokens > 0, "no usage");
      cases.check(inbox.entries.some((event) => event.type === "text-delta"), "no text");
    }),
  transcription: async () => {
    const frames = [];
    await cases.stream(cases.penny.question, (frame) => frames.push(new Uint8Array(frame)), 1e6);
    const result = streamTranscribe({
      model: openai.transcription("gpt-realtime-whisper"),
      audio: new ReadableStream({
        start(controller) {
          for (const frame of frames) controller.enqueue(frame);
          controller.close();
        },
      }),
      inputAudioFormat: { type: "audio/pcm", rate: cases.RATE_HZ },
    });
    cases.checkWords(await result.text);
  },
});
