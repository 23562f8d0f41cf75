// Microphone -> mono PCM16 frames at the agreed rate, with their level.

import { Resampler } from "./resampler.js";

class CaptureProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions: { rateHz, frameMs } }) {
    super();
    this.resampler = new Resampler(sampleRate, rateHz);
    this.frame = new Int16Array(Math.round((rateHz * frameMs) / 1000));
    this.filled = 0;
    this.energy = 0;
    this.open = true;
    this.port.onmessage = () => {
      this.open = false;
    };
  }

  process([channels]) {
    // A microphone that went away gives no channels; its time passes as silence all the same.
    const mono = channels.length === 1 ? channels[0] : this.#mix(channels);
    for (const sample of this.resampler.process(mono)) this.#take(sample);
    return this.open;
  }

  #mix(channels) {
    const mono = new Float32Array(channels[0]?.length ?? 128);
    for (const channel of channels) {
      for (let i = 0; i < mono.length; i += 1) mono[i] += channel[i] / channels.length;
    }
    return mono;
  }

  #take(sample) {
    const clipped = Math.max(-1, Math.min(1, sample));
    this.frame[this.filled] = Math.round(clipped * 32767);
    this.energy += clipped * clipped;
    this.filled += 1;
    if (this.filled < this.frame.length) return;
    const pcm = this.frame.buffer;
    const level = Math.sqrt(this.energy / this.filled);
    this.port.postMessage({ pcm, level }, [pcm]);
    this.frame = new Int16Array(this.filled);
    this.filled = 0;
    this.energy = 0;
  }
}

registerProcessor("penny-capture", CaptureProcessor);
