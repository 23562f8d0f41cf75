// Plays items of PCM16 through a jitter buffer and tells what of each was really played.
//
// In:  {type: "audio", item, pcm}   more audio of an item (PCM16 at the agreed rate)
//      {type: "end", item}          no more of it follows
//      {type: "flush"}              drop everything not yet played
//      {type: "close"}
// Out: {type: "position", item, playedMs, bufferedMs, level}   about every 100 ms while playing
//      {type: "ended", item, playedMs, dropped}                once per item
//      {type: "underrun", item}     the buffer ran dry in the middle of an item
//      {type: "overflow", item}     audio was refused: the buffer is full

import { Resampler } from "./resampler.js";

const REPORT_MS = 100;
const MAX_BUFFERED_MS = 60_000;
const WIDEN = 1.5; // each time the buffer runs dry it is filled this much further before going on
const MAX_PREBUFFER_MS = 400;

class PlayerProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions: { rateHz, prebufferMs } }) {
    super();
    this.rateHz = rateHz;
    this.resampler = new Resampler(rateHz, sampleRate);
    this.prebuffer = (prebufferMs * sampleRate) / 1000;
    this.items = []; // {name, chunks, offset, buffered, played, ended} in order of arrival
    this.buffered = 0;
    this.waiting = true; // filling the jitter buffer before playing (on)
    this.sinceReport = 0;
    this.energy = 0;
    this.flushing = false;
    this.open = true;
    this.port.onmessage = ({ data }) => this.#receive(data);
  }

  #receive(message) {
    if (message.type === "audio") this.#queue(message.item, message.pcm);
    else if (message.type === "end") this.#end(message.item);
    else if (message.type === "flush") this.flushing = true;
    else this.open = false;
  }

  #item(name) {
    let item = this.items.find((known) => known.name === name);
    if (item === undefined) {
      item = { name, chunks: [], offset: 0, buffered: 0, played: 0, ended: false };
      this.items.push(item);
    }
    return item;
  }

  #queue(name, pcm) {
    if (this.flushing) this.#flush(null);
    if (this.buffered > (MAX_BUFFERED_MS * sampleRate) / 1000) {
      this.port.postMessage({ type: "overflow", item: name });
      return;
    }
    const samples = Float32Array.from(new Int16Array(pcm), (value) => value / 32768);
    this.#append(this.#item(name), samples);
  }

  #append(item, samples) {
    const chunk = this.resampler.process(samples);
    item.chunks.push(chunk);
    item.buffered += chunk.length;
    this.buffered += chunk.length;
  }

  #end(name) {
    if (this.flushing) this.#flush(null);
    const item = this.#item(name);
    this.#append(item, new Float32Array(this.resampler.delay));
    this.resampler.reset();
    item.ended = true;
  }

  /** Drop everything; what remains of the current quantum fades out instead of clicking. */
  #flush(output) {
    this.flushing = false;
    if (output !== null && !this.waiting) {
      this.#fill(output);
      for (let i = 0; i < output.length; i += 1) output[i] *= 1 - i / output.length;
    }
    for (const item of this.items) this.#report("ended", item, { dropped: true });
    this.items = [];
    this.buffered = 0;
    this.waiting = true;
    this.resampler.reset();
  }

  process(_inputs, [[output]]) {
    if (this.flushing) {
      this.#flush(output);
      return this.open;
    }
    this.#retire();
    const [item] = this.items;
    if (item === undefined) {
      this.waiting = true;
      return this.open;
    }
    if (this.waiting && (item.ended || this.buffered >= this.prebuffer)) this.waiting = false;
    if (!this.waiting) this.#fill(output);
    return this.open;
  }

  /** Fill one quantum from the queue, across items where one ends inside it. */
  #fill(output) {
    let filled = 0;
    while (filled < output.length && this.items.length > 0) {
      const [item] = this.items;
      if (item.chunks.length === 0) {
        if (!item.ended) {
          this.waiting = true;
          const widest = (MAX_PREBUFFER_MS * sampleRate) / 1000;
          this.prebuffer = Math.min(widest, this.prebuffer * WIDEN);
          this.port.postMessage({ type: "underrun", item: item.name });
          break;
        }
        this.#retire();
        continue;
      }
      filled += this.#copy(item, output, filled);
    }
    for (const sample of output) this.energy += sample * sample;
    this.sinceReport += output.length;
    if (this.sinceReport * 1000 >= REPORT_MS * sampleRate) this.#reportPosition();
  }

  #copy(item, output, filled) {
    const [chunk] = item.chunks;
    const count = Math.min(output.length - filled, chunk.length - item.offset);
    output.set(chunk.subarray(item.offset, item.offset + count), filled);
    item.offset += count;
    item.played += count;
    item.buffered -= count;
    this.buffered -= count;
    if (item.offset === chunk.length) {
      item.chunks.shift();
      item.offset = 0;
    }
    return count;
  }

  #retire() {
    while (this.items.length > 0 && this.items[0].ended && this.items[0].chunks.length === 0) {
      this.#report("ended", this.items.shift(), { dropped: false });
    }
  }

  #reportPosition() {
    const level = Math.sqrt(this.energy / this.sinceReport);
    const bufferedMs = (this.buffered * 1000) / sampleRate;
    if (this.items.length > 0) this.#report("position", this.items[0], { bufferedMs, level });
    this.sinceReport = 0;
    this.energy = 0;
  }

  #report(type, item, facts) {
    const playedMs = (item.played * 1000) / sampleRate;
    this.port.postMessage({ type, item: item.name, playedMs, ...facts });
  }
}

registerProcessor("penny-player", PlayerProcessor);
