// The coin: an engraved rosette that the two voices move. Yours runs outward in verdigris,
// Penny's in copper, each ring a moment later than the one inside it.

const RINGS = 9;
const FRAMES_A_RING = 3; // how much later each ring moves
const RELEASE = 0.86; // how slowly a level falls, per frame
const TAU = Math.PI * 2;
const STEPS = 180; // points of a curve
const REED = 96; // notches of the rim
const QUIET_AFTER_MS = 4000; // with nothing to show the clockwork stands still

/** A meter in decibels: -60 dBFS is empty, 0 is full. */
export const fullness = (level) =>
  Math.max(0, Math.min(1, 1 + Math.log10(Math.max(level, 1e-6)) / 3));

export class Coin {
  #context;
  #wanted = { input: 0, output: 0 };
  #shown = { input: 0, output: 0 };
  #history = []; // newest first
  #turn = 0;
  #busy = false;
  #lively = matchMedia("(prefers-reduced-motion: no-preference)");
  #frame = null;
  #movedAt = performance.now();

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.#context = canvas.getContext("2d");
    new ResizeObserver(() => this.#fit()).observe(canvas);
    this.#lively.addEventListener("change", () => this.wake());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.wake());
  }

  /** Levels from 0 to 1 (RMS) of the caller and of Penny; what is left out stays. */
  hear({ input, output }) {
    if (input !== undefined) this.#wanted.input = fullness(input);
    if (output !== undefined) this.#wanted.output = fullness(output);
    this.wake();
  }

  hush() {
    this.#wanted = { input: 0, output: 0 };
    this.wake();
  }

  /** A search light runs round the coin while something is awaited. */
  set busy(on) {
    this.#busy = on;
    this.wake();
  }

  /** Draw on from here: something changed. */
  wake() {
    this.#movedAt = performance.now();
    this.#frame ??= requestAnimationFrame(() => this.#step());
  }

  #fit() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const scale = Math.min(2, devicePixelRatio);
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.wake();
  }

  #step() {
    this.#frame = null;
    for (const voice of ["input", "output"]) {
      this.#shown[voice] = Math.max(this.#wanted[voice], this.#shown[voice] * RELEASE);
    }
    this.#history.unshift({ ...this.#shown });
    this.#history.length = Math.min(this.#history.length, RINGS * FRAMES_A_RING + 1);
    if (this.#lively.matches) this.#turn += 0.002 + this.#shown.output * 0.012;
    this.#draw();
    const restless = this.#busy || performance.now() - this.#movedAt < QUIET_AFTER_MS;
    if (restless) this.#frame ??= requestAnimationFrame(() => this.#step());
  }

  #draw() {
    const { width, height } = this.canvas;
    const pen = this.#context;
    const style = getComputedStyle(this.canvas);
    const ink = { copper: style.color, verdigris: style.outlineColor, relief: style.caretColor };
    const face = Math.min(width, height) * 0.31; // the button's own radius
    pen.clearRect(0, 0, width, height);
    pen.save();
    pen.translate(width / 2, height / 2);
    this.#drawRings(pen, face, ink);
    this.#drawRelief(pen, face, ink.relief);
    if (this.#busy) this.#drawLight(pen, face, ink.copper);
    pen.restore();
  }

  #drawRings(pen, face, ink) {
    const room = face * 0.6;
    for (let ring = 0; ring < RINGS; ring += 1) {
      const then = this.#lively.matches ? ring * FRAMES_A_RING : 0;
      const { input, output } = this.#history[then] ?? { input: 0, output: 0 };
      const out = ring / RINGS;
      for (const [level, color, petals, way] of [
        [input, ink.verdigris, 7, 1],
        [output, ink.copper, 11, -1],
      ]) {
        const strength = Math.max(0, level - 0.25) / 0.75;
        const wave = face * 0.085 * strength * (1 - out * 0.6);
        pen.globalAlpha = (0.1 + 0.75 * strength) * (1 - out) ** 1.3;
        pen.lineWidth = face * (0.008 + 0.012 * strength);
        pen.strokeStyle = color;
        const radius = face * 1.06 + room * out * (0.55 + 0.45 * strength);
        this.#curve(pen, radius, wave, petals, way * this.#turn * 4 + ring * 0.35);
      }
    }
    pen.globalAlpha = 1;
  }

  /** The engraving on the face, its middle left plain for the word. */
  #drawRelief(pen, face, color) {
    const swell = 0.75 + 0.5 * this.#shown.output;
    pen.strokeStyle = color;
    pen.lineWidth = Math.max(1, face * 0.006);
    for (let line = 0; line < 10; line += 1) {
      pen.globalAlpha = 0.42;
      const phase = this.#turn + (line * TAU) / 10;
      this.#curve(pen, face * 0.775, face * 0.1 * swell, 12, phase, true);
    }
    pen.globalAlpha = 0.5;
    pen.beginPath();
    pen.arc(0, 0, face * 0.6, 0, TAU);
    pen.stroke();
    pen.beginPath();
    for (let notch = 0; notch < REED; notch += 1) {
      const angle = (notch * TAU) / REED;
      pen.moveTo(Math.cos(angle) * face * 0.94, Math.sin(angle) * face * 0.94);
      pen.lineTo(Math.cos(angle) * face * 0.985, Math.sin(angle) * face * 0.985);
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  #drawLight(pen, face, color) {
    const at = this.#lively.matches ? performance.now() / 420 : -Math.PI / 2;
    pen.strokeStyle = color;
    pen.lineCap = "round";
    pen.lineWidth = face * 0.045;
    pen.beginPath();
    pen.arc(0, 0, face * 1.14, at, at + TAU * 0.22);
    pen.stroke();
  }

  #curve(pen, radius, wave, petals, phase, woven = false) {
    pen.beginPath();
    for (let step = 0; step <= STEPS; step += 1) {
      const angle = (step * TAU) / STEPS;
      const ripple = Math.sin(petals * angle + (woven ? phase : phase * 2));
      const slow = woven ? 1 : 0.6 + 0.4 * Math.sin(3 * angle - phase);
      const r = radius + wave * ripple * slow;
      pen.lineTo(r * Math.cos(angle), r * Math.sin(angle));
    }
    pen.closePath();
    pen.stroke();
  }
}
