// The voices of a session over WebRTC, beside its socket: lost packets delay nothing there.

const CONNECT_MS = 10_000; // a network that lets no such connection through is told by silence
const LEVEL_MS = 100;

export class Media {
  #connection = new RTCPeerConnection();
  #late = setTimeout(() => this.#lose(), CONNECT_MS);
  #audio = new Audio();
  #meter = null;

  on = false; // whether the voices go this way now

  /** `handlers`: onChange(on: boolean), once each way; onLevel(0..1) of what is played. */
  constructor(context, handlers) {
    this.handlers = handlers;
    this.#connection.ontrack = ({ streams: [stream] }) => this.#play(context, stream);
    this.#connection.onconnectionstatechange = () => {
      const { connectionState: state } = this.#connection;
      if (state === "connected") this.#start();
      else if (["disconnected", "failed", "closed"].includes(state)) this.#lose();
    };
  }

  /** The offer, to be sent as `media_offer`; without a microphone it only receives. */
  async offer(track) {
    const direction = track ? "sendrecv" : "recvonly";
    this.#connection.addTransceiver(track ?? "audio", { direction });
    await this.#connection.setLocalDescription();
    return this.#connection.localDescription.sdp;
  }

  answer(sdp) {
    return this.#connection.setRemoteDescription({ type: "answer", sdp });
  }

  /** Close from this side; nothing is told. */
  close() {
    this.handlers = null;
    this.#lose();
  }

  #start() {
    clearTimeout(this.#late);
    this.on = true;
    this.handlers?.onChange(true);
  }

  #lose() {
    clearTimeout(this.#late);
    clearInterval(this.#meter);
    this.#connection.onconnectionstatechange = null;
    this.#connection.close();
    this.#audio.srcObject = null;
    this.on = false;
    this.handlers?.onChange(false);
    this.handlers = null;
  }

  #play(context, stream) {
    // Through the context, as the socket's voice; Chromium feeds it only what an element plays too.
    this.#audio.muted = true;
    this.#audio.srcObject = stream;
    this.#audio.play().catch(() => {});
    const source = context.createMediaStreamSource(stream);
    const analyser = context.createAnalyser();
    source.connect(analyser);
    source.connect(context.destination);
    const samples = new Float32Array(analyser.fftSize);
    this.#meter = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const energy = samples.reduce((sum, sample) => sum + sample * sample, 0);
      if (this.on) this.handlers?.onLevel(Math.sqrt(energy / samples.length));
    }, LEVEL_MS);
  }
}
