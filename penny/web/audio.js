// The browser's ears and mouth: thin owners of the two worklets.

const FRAME_MS = 20;
const PREBUFFER_MS = 80; // jitter that playback survives without a gap; also what it adds to latency

/** Where a worklet lies: beside this module, or where a bundler's user put it. */
function locate(worklets, file, beside) {
  return worklets ? new URL(file, new URL(worklets, location.href)) : beside;
}

/** Why the microphone cannot be used: `code` is stable, `message` is the browser's. */
export class MicrophoneError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "MicrophoneError";
    this.code = code;
  }
}

/** The microphone as PCM16 frames at `rateHz`; calls `onFrame(pcm: ArrayBuffer, level 0..1)`. */
export class Microphone {
  /** Ask for the microphone. Rejects with MicrophoneError. */
  static async open(context, { rateHz, deviceId, worklets, onFrame, onLost }) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new MicrophoneError("insecure", "the microphone needs https or localhost");
    }
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const wanted = { ...audio, channelCount: 1, ...(deviceId ? { deviceId } : {}) };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    } catch (error) {
      const code = { NotAllowedError: "refused", NotFoundError: "missing" }[error.name] ?? "failed";
      throw new MicrophoneError(code, error.message);
    }
    try {
      const beside = new URL("./capture-worklet.js", import.meta.url);
      await context.audioWorklet.addModule(locate(worklets, "capture-worklet.js", beside));
      return new Microphone(context, stream, { rateHz, onFrame, onLost });
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      throw error;
    }
  }

  constructor(context, stream, { rateHz, onFrame, onLost }) {
    this.stream = stream;
    this.muted = false;
    this.source = context.createMediaStreamSource(stream);
    this.node = new AudioWorkletNode(context, "penny-capture", {
      numberOfOutputs: 1,
      processorOptions: { rateHz, frameMs: FRAME_MS },
    });
    this.node.port.onmessage = ({ data }) => onFrame(data.pcm, data.level);
    stream.getAudioTracks()[0].addEventListener("ended", () => onLost());
    // The worklet puts out silence only; the connection is what makes every browser run it.
    this.source.connect(this.node).connect(context.destination);
  }

  /** A muted microphone sends silence: the audio's clock must go on. */
  set enabled(on) {
    for (const track of this.stream.getAudioTracks()) track.enabled = on;
  }

  close() {
    this.node.port.postMessage("close");
    this.node.port.onmessage = null;
    this.source.disconnect();
    this.node.disconnect();
    for (const track of this.stream.getTracks()) track.stop();
  }
}

/** Plays items of PCM16; `onReport({type, item, playedMs, …})` as player-worklet.js has it. */
export class Player {
  static async open(context, { rateHz, worklets, onReport }) {
    const beside = new URL("./player-worklet.js", import.meta.url);
    await context.audioWorklet.addModule(locate(worklets, "player-worklet.js", beside));
    return new Player(context, { rateHz, onReport });
  }

  constructor(context, { rateHz, onReport }) {
    this.context = context;
    this.node = new AudioWorkletNode(context, "penny-player", {
      numberOfInputs: 0,
      outputChannelCount: [1],
      processorOptions: { rateHz, prebufferMs: PREBUFFER_MS },
    });
    this.node.port.onmessage = ({ data }) => onReport(this.#hear(data));
    this.node.connect(context.destination);
  }

  /** Take off what the device still holds: only what left the loudspeaker was heard. */
  #hear(report) {
    if (report.playedMs === undefined || (report.type === "ended" && !report.dropped)) return report;
    const deviceMs = (this.context.outputLatency || this.context.baseLatency || 0) * 1000;
    return { ...report, playedMs: Math.max(0, report.playedMs - deviceMs) };
  }

  play(item, pcm) {
    this.node.port.postMessage({ type: "audio", item, pcm }, [pcm]);
  }

  end(item) {
    this.node.port.postMessage({ type: "end", item });
  }

  flush() {
    this.node.port.postMessage({ type: "flush" });
  }

  close() {
    this.node.port.postMessage({ type: "close" });
    this.node.port.onmessage = null;
    this.node.disconnect();
  }
}
