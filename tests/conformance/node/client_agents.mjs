// agents-js over its WebSocket transport: `RealtimeSession` as its quickstart has it.
import { hostedMcpTool } from "@openai/agents";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents/realtime";
import * as cases from "./cases.mjs";

async function talking(tools, body) {
  const instructions = "Responde en español.";
  const agent = new RealtimeAgent({ name: "Assistant", instructions, tools });
  const session = new RealtimeSession(agent, {
    model: "gpt-realtime-2.1",
    transport: new OpenAIRealtimeWebSocket({ useInsecureApiKey: true }),
  });
  const inbox = new cases.Inbox();
  const seen = (type) => (...about) => inbox.push({ type, about });
  const kinds = ["audio", "audio_stopped", "audio_interrupted", "agent_end", "agent_tool_end"];
  for (const kind of [...kinds, "tool_approval_requested", "mcp_tool_call_completed"])
    session.on(kind, seen(kind));
  session.on("transport_event", (event) => inbox.push(event));
  let failure = null;
  session.on("error", (error) => (failure = error));
  await session.connect({ apiKey: "any", url: `${cases.penny.ws}/v1/realtime?model=gpt-realtime-2.1` });
  try {
    await body(session, inbox);
    if (failure !== null) throw new Error(JSON.stringify(failure.error ?? failure));
  } finally {
    session.close();
  }
}

const say = (session, pcm, speed) =>
  cases.stream(pcm, (frame) => session.sendAudio(new Uint8Array(frame).buffer), speed);

await cases.main("agents-js", {
  "voice turn": () =>
    talking([], async (session, inbox) => {
      await say(session, cases.penny.question);
      await inbox.type("audio");
      await inbox.type("agent_end");
      await inbox.type("conversation.item.input_audio_transcription.completed");
    }),
  interruption: () =>
    talking([], async (session, inbox) => {
      session.sendMessage(cases.QUESTION);
      await inbox.type("audio");
      await say(session, cases.penny.interruption, 1);
      await inbox.type("audio_interrupted");
      const cut = await inbox.type("conversation.item.truncated");
      cases.check(cut.audio_end_ms > 0, cut.audio_end_ms);
    }),
  "function call": async () => {
    const asked = [];
    const lookUp = tool({
      name: cases.TOOL_NAME,
      description: cases.TOOL_DESCRIPTION,
      parameters: { ...cases.TOOL_SCHEMA, additionalProperties: true },
      strict: false,
      execute: async ({ id }) => {
        asked.push(id);
        return cases.TOOL_OUTPUT;
      },
    });
    await talking([lookUp], async (session, inbox) => {
      session.sendMessage(cases.TOOL_REQUEST);
      await inbox.type("agent_tool_end");
      cases.check(asked[0] === "F-2024-1234", asked);
      await inbox.type("audio");
      await inbox.type("agent_end");
    });
  },
  "text turn": () =>
    talking([], async (session, inbox) => {
      session.sendMessage(cases.QUESTION);
      await inbox.type("agent_end");
      const said = await inbox.type("response.output_audio_transcript.done");
      cases.check(said.transcript, "nothing was said");
    }),
  MCP: () => {
    const server = { serverLabel: cases.MCP_LABEL, serverUrl: cases.penny.mcp, requireApproval: "always" };
    return talking([hostedMcpTool(server)], async (session, inbox) => {
      await inbox.type("mcp_list_tools.completed");
      session.sendMessage(cases.MCP_REQUEST);
      const [, , asked] = (await inbox.type("tool_approval_requested")).about;
      await session.approve(asked.approvalItem);
      const [, , call] = (await inbox.type("mcp_tool_call_completed")).about;
      cases.check(call.output === cases.MCP_OUTPUT, JSON.stringify(call));
    });
  },
});
