// When to try again: soon, then ever later, with chance in it so that callers do not come at once.

const FIRST_MS = 200;
const LONGEST_MS = 4000;

export class Patience {
  attempt = 0;
  #beganAt = performance.now();

  /** @param {number} limitMs how long it is worth trying */
  constructor(limitMs) {
    this.limitMs = limitMs;
  }

  get waitedMs() {
    return performance.now() - this.#beganAt;
  }

  /** Wait for the next attempt; false when it is no longer worth it. A network that comes back
   * ends the wait. */
  async wait() {
    if (this.waitedMs >= this.limitMs) return false;
    const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.attempt);
    this.attempt += 1;
    await new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer);
        globalThis.removeEventListener("online", go);
        resolve();
      };
      const timer = setTimeout(go, longest * (0.5 + Math.random() / 2));
      globalThis.addEventListener("online", go);
    });
    return true;
  }
}
