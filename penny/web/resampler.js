// Streaming rate conversion for the worklets: a polyphase windowed sinc, exact for any ratio.

const ZERO_CROSSINGS = 16; // each side, at the lower of the two rates
const KAISER_BETA = 8; // about 80 dB of stop band
const CUTOFF = 0.94; // of the lower Nyquist frequency: leaves room for the transition

const greatestDivisor = (a, b) => (b === 0 ? a : greatestDivisor(b, a % b));

function bessel0(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** Converts mono float samples from one rate to another, chunk by chunk, without seams. */
export class Resampler {
  /**
   * @param {number} fromHz
   * @param {number} toHz
   */
  constructor(fromHz, toHz) {
    const divisor = greatestDivisor(Math.round(fromHz), Math.round(toHz));
    this.phases = Math.round(toHz) / divisor;
    this.step = Math.round(fromHz) / divisor;
    this.identity = this.phases === this.step;
    const cutoff = Math.min(1, toHz / fromHz) * CUTOFF;
    this.half = Math.ceil(ZERO_CROSSINGS / Math.min(1, toHz / fromHz));
    this.taps = this.half * 2;
    this.kernel = this.identity ? null : this.#designKernel(cutoff);
    this.reset();
  }

  /** Forget the past: the next sample starts a new stream. */
  reset() {
    this.history = new Float32Array(this.identity ? 0 : this.taps - 1);
    this.phase = 0;
    this.skip = 0;
  }

  /** Input samples whose output is still inside; feed as many zeros to get the end of a stream. */
  get delay() {
    return this.identity ? 0 : this.half;
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array}
   */
  process(samples) {
    if (this.identity) return samples;
    const { taps, phases, step, kernel } = this;
    const input = new Float32Array(this.history.length + samples.length);
    input.set(this.history);
    input.set(samples, this.history.length);
    const output = new Float32Array(Math.ceil((samples.length * phases) / step) + 1);
    let { phase, skip: start } = this;
    let produced = 0;
    for (; start + taps <= input.length; produced += 1) {
      const row = phase * taps;
      let sum = 0;
      for (let tap = 0; tap < taps; tap += 1) sum += input[start + tap] * kernel[row + tap];
      output[produced] = sum;
      phase += step;
      start += Math.floor(phase / phases);
      phase %= phases;
    }
    const keep = Math.min(start, input.length);
    this.history = input.slice(keep);
    this.skip = start - keep;
    this.phase = phase;
    return output.subarray(0, produced);
  }

  #designKernel(cutoff) {
    const kernel = new Float32Array(this.phases * this.taps);
    const scale = bessel0(KAISER_BETA);
    for (let phase = 0; phase < this.phases; phase += 1) {
      const row = phase * this.taps;
      let gain = 0;
      for (let tap = 0; tap < this.taps; tap += 1) {
        const x = tap - (this.half - 1) - phase / this.phases;
        const edge = Math.min(1, Math.abs(x) / this.half);
        const window = bessel0(KAISER_BETA * Math.sqrt(1 - edge * edge)) / scale;
        const angle = Math.PI * cutoff * x;
        kernel[row + tap] = (x === 0 ? 1 : Math.sin(angle) / angle) * window;
        gain += kernel[row + tap];
      }
      for (let tap = 0; tap < this.taps; tap += 1) kernel[row + tap] /= gain;
    }
    return kernel;
  }
}
