// agents-js in a page, with its defaults: the browser's own WebRTC, microphone and loudspeaker.
import { RealtimeAgent, RealtimeSession, tool } from "/sdk/openai-realtime-agents.mjs";

// The loudspeaker that the SDK makes for itself.
let loudspeaker = null;
const make = document.createElement.bind(document);
document.createElement = (name, ...rest) => {
  const made = make(name, ...rest);
  if (name === "audio") loudspeaker = made;
  return made;
};

window.events = [];
window.loudest = 0;
window.cases = {};

function note(type, about = {}) {
  window.events.push({ type, ...about });
}

// Keeps the loudest that was played, 0..1.
function listen(context) {
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(loudspeaker.captureStream()).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    window.loudest = Math.max(window.loudest, ...samples.map(Math.abs));
  }, 20);
}

// The session is begun by a click, as a person would.
window.prepare = ({ url, key, tool: asked, instructions }) => {
  document.querySelector("button").onclick = async () => {
    const context = new AudioContext();
    const execute = ({ id }) => {
      note("asked", { id });
      return asked.output;
    };
    const tools = asked ? [tool({ ...asked, strict: false, execute })] : [];
    const agent = new RealtimeAgent({ name: "Assistant", instructions, tools });
    const session = (window.session = new RealtimeSession(agent, { model: "gpt-realtime-2.1" }));
    for (const kind of ["agent_end", "audio_interrupted", "agent_tool_end"]) session.on(kind, () => note(kind));
    session.on("error", ({ error }) => note("error", { message: String(error?.message ?? JSON.stringify(error)) }));
    session.on("transport_event", (event) => note(event.type, event));
    try {
      await session.connect({ apiKey: key, url });
      loudspeaker.onplaying = () => listen(context);
      if (!loudspeaker.paused) listen(context);
      note("connected");
    } catch (error) {
      note("error", { message: String(error) });
    }
  };
};

// Keys of the phone's pad, as a page sends them.
window.press = (keys) => {
  const { peerConnection } = session.transport.connectionState;
  const sender = peerConnection.getSenders().find(({ track }) => track?.kind === "audio");
  sender.dtmf.insertDTMF(keys, 100, 70);
};
