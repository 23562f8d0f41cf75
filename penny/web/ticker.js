// The running figures of a call: minutes, money, time to answer.

import { drawing, find } from "./element.js";
import { number, words } from "./words.js";

const KEPT_TURNS = 24;

export const clock = (ms) => {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

/** Small sums need more digits than large ones; `digits` fixes them. */
export function dollars(usd, digits = usd < 0.00005 || usd >= 1 ? 2 : usd >= 0.01 ? 3 : 4) {
  const dots = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return number(usd, { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", ...dots });
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export class Ticker {
  #beganAt = null;
  #timer = null;
  #perMinute = null; // the mode's own estimate
  #usd = null; // what was metered
  #before = { ms: 0, usd: 0 }; // when another mode took over, and the guess until then
  #latencies = [];

  /** A call begins. `perMinute`: USD a minute, an estimate until something is metered. */
  start(perMinute) {
    this.#beganAt = performance.now();
    this.#perMinute = perMinute;
    this.#before = { ms: 0, usd: 0 };
    this.#usd = null;
    this.#latencies = [];
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.draw(), 500);
    this.draw();
  }

  /** Another mode answers from now on. */
  reprice(perMinute) {
    const ms = performance.now() - this.#beganAt;
    this.#before = { ms, usd: this.#guess(ms) ?? 0 };
    this.#perMinute = perMinute;
  }

  #guess(ms) {
    if (this.#perMinute === null) return null;
    return this.#before.usd + (this.#perMinute * (ms - this.#before.ms)) / 60_000;
  }

  stop() {
    clearInterval(this.#timer);
    this.draw();
  }

  cost({ usd_total }) {
    this.#usd = usd_total;
    this.draw();
  }

  turn({ latency_ms }) {
    const ms = latency_ms.first_audio;
    if (ms === null) return;
    this.#latencies = [...this.#latencies, Math.max(0, ms)].slice(-KEPT_TURNS);
    this.draw();
  }

  draw() {
    if (this.#beganAt === null) return;
    const ms = performance.now() - this.#beganAt;
    find("#minutes").textContent = clock(ms);
    const guess = this.#guess(ms);
    const usd = this.#usd ?? guess;
    find("#cost").textContent = usd === null ? "—" : `${this.#usd === null ? "≈ " : ""}${dollars(usd)}`;
    find("#cost").title = this.#usd === null ? words().estimated : words().metered;
    const known = this.#latencies.length > 0;
    find("#answer-time").textContent = known ? `${Math.round(median(this.#latencies))} ms` : "—";
    find("#answer-times").replaceChildren(...(known ? this.#sparks() : []));
  }

  /** One stroke for each of the last turns. */
  #sparks() {
    const longest = Math.max(...this.#latencies, 1);
    return this.#latencies.map((ms, n) => {
      const height = Math.max(2, (18 * ms) / longest);
      return drawing("rect", { x: 4 * n, y: 20 - height, width: 3, height, rx: 1 });
    });
  }
}
