// What was said to Penny and may not have arrived: a line that breaks takes messages to the last.

const KEPT = 64; // far more than are said in the seconds until a broken line is noticed

export class Outbox {
  #given = 0; // messages given to the network in this session
  #kept = []; // {number, message} in their order

  /** Note a message, and whether the network took it. Positions are counted, not kept: the next
   * one says more. */
  add(message, given) {
    if (given) this.#given += 1;
    if (message.type === "playback" && !message.ended) return;
    this.#kept.push({ number: given ? this.#given : Infinity, message });
    if (this.#kept.length > KEPT) this.#kept.shift();
  }

  /** Take out what Penny, who has `received` messages, does not have. */
  missing(received) {
    const missing = this.#kept.filter(({ number }) => number > received);
    this.#given = received;
    this.#kept = [];
    return missing.map(({ message }) => message);
  }
}
