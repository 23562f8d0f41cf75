// The microphone before a call: asked for on a click, shown as a level, helped with when blocked.

import { Microphone, MicrophoneError } from "./audio.js";
import { fullness } from "./coin.js";
import { find } from "./element.js";
import { words } from "./words.js";

const VOICE = 0.45; // of the meter: somebody speaks, it is no room's noise
const SILENT_MS = 5000; // without a voice for so long the page says so
const FALL = 0.88; // how slowly the meter falls, per 20 ms

/** Whose settings block the microphone: a key of `words().blocked`. */
export function browserName({ userAgent, maxTouchPoints } = navigator) {
  if (/iPhone|iPad/.test(userAgent)) return "ios";
  if (/Macintosh/.test(userAgent) && maxTouchPoints > 1) return "ios"; // an iPad says Macintosh
  if (/Android/.test(userAgent)) return "android";
  if (/Firefox\//.test(userAgent)) return "firefox";
  if (/Chrom(e|ium)\//.test(userAgent)) return "chrome";
  return /Safari\//.test(userAgent) ? "safari" : "other";
}

/** What happened to the microphone and, when it is blocked, where this browser allows it. */
export function explainMicrophone({ code }) {
  const { problems, blocked } = words();
  return code === "refused" ? `${problems.refused} ${blocked[browserName()]}` : problems[code];
}

/** The button that tries the microphone and the meter beside it. */
export class MicrophoneCheck {
  #context = null;
  #microphone = null;
  #level = 0;
  #voiceAt = 0;
  #said = "";

  /** `onProblem(MicrophoneError)`: it cannot be used. */
  constructor(onProblem) {
    this.onProblem = onProblem;
    this.button = find("#check");
    this.meter = find("#level");
    this.button.addEventListener("click", () => (this.#context ? this.stop() : this.start()));
  }

  async start() {
    // Made in the click itself: browsers allow sound and ask for the microphone only then.
    const context = (this.#context = new AudioContext());
    this.draw();
    try {
      context.resume();
      const onFrame = (_, level) => this.#hear(level);
      const microphone = await Microphone.open(context, { rateHz: 24000, onFrame, onLost: () => this.stop() });
      if (this.#context !== context) return void microphone.close(); // stopped while the browser asked
      this.#microphone = microphone;
      this.#voiceAt = performance.now();
      this.#say("checkSpeak");
    } catch (error) {
      if (this.#context === context) this.stop();
      if (!(error instanceof MicrophoneError)) throw error;
      this.onProblem(error);
    }
    this.draw();
  }

  /** Let the microphone go; a call asks for it itself. */
  stop() {
    this.#microphone?.close();
    this.#context?.close();
    this.#context = this.#microphone = null;
    this.#level = 0;
    this.#say("");
    this.draw();
  }

  draw() {
    const say = words();
    this.button.textContent = this.#context ? say.checkStop : say.check;
    this.button.setAttribute("aria-pressed", String(this.#context !== null));
    this.meter.hidden = this.#microphone === null;
    find("#check-said").textContent = say[this.#said] ?? "";
  }

  #say(word) {
    if (this.#said === word) return;
    this.#said = word;
    this.draw();
  }

  #hear(level) {
    this.#level = Math.max(fullness(level), this.#level * FALL);
    const percent = Math.round(100 * this.#level);
    this.meter.setAttribute("aria-valuenow", String(percent));
    this.meter.firstElementChild.style.inlineSize = `${percent}%`;
    if (this.#level >= VOICE) {
      this.#voiceAt = performance.now();
      this.#say("checkHeard");
    } else if (performance.now() - this.#voiceAt > SILENT_MS) {
      this.#say("checkSilent");
    }
  }
}
