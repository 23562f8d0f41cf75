// What every client in Node has to get through, and how it says that it did (as cases.py).
import { readFileSync } from "node:fs";

const CASE_LIMIT_MS = 40_000;
export const RATE_HZ = 24_000;
const FRAME_BYTES = (RATE_HZ * 2) / 50;

export const QUESTION = "¿Cuál es el horario de atención?";
export const TOOL_REQUEST = "Quiero consultar la factura F-2024-1234";
export const TOOL_NAME = "consultar_factura";
export const TOOL_DESCRIPTION = "Consulta el estado de una factura";
export const TOOL_OUTPUT = "La factura está pendiente de pago.";
export const TOOL_SCHEMA = {
  type: "object",
  properties: { id: { type: "string" } },
  required: ["id"],
};

export const MCP_LABEL = "almacen";
export const MCP_REQUEST = "Quiero consultar el pedido P-2024-1234";
export const MCP_OUTPUT = "pendiente de pago";

const [url, speech, mcp] = process.argv.slice(2);
export const penny = {
  http: url,
  ws: url.replace("http", "ws"),
  question: readFileSync(`${speech}/question.pcm`),
  interruption: readFileSync(`${speech}/interruption.pcm`),
  mcp, // the address of an MCP server that Penny may reach, or ''
};

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Sends `pcm` in 20 ms frames, `speed` times as fast as it was spoken.
export async function stream(pcm, send, speed = 4) {
  for (let at = 0; at < pcm.length; at += FRAME_BYTES) {
    send(pcm.subarray(at, at + FRAME_BYTES));
    await sleep(20 / speed);
  }
}

export function check(truth, message) {
  if (!truth) throw new Error(message);
}

// Half of the question's words were heard: the embedded ears are no Whisper.
export function checkWords(transcript) {
  const words = (text) => new Set(text.toLowerCase().match(/\p{L}+/gu));
  const asked = [...words(QUESTION)];
  const heard = asked.filter((word) => words(transcript).has(word));
  check(heard.length * 2 >= asked.length, `heard: ${transcript}`);
}

// A list that can be waited on: `until(test)` is the first entry, old or new, that passes.
export class Inbox {
  entries = [];
  #waiting = [];

  push(entry) {
    this.entries.push(entry);
    for (const each of [...this.#waiting]) each();
  }

  until(test) {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.entries.find(test);
        if (found === undefined) return;
        this.#waiting = this.#waiting.filter((each) => each !== look);
        resolve(found);
      };
      this.#waiting.push(look);
      look();
    });
  }

  type(kind) {
    return this.until((event) => event.type === kind);
  }
}

// Run each case on its own and print one line of JSON for it.
export async function main(client, cases) {
  for (const [name, run] of Object.entries(cases)) {
    if (name === "MCP" && !mcp) continue;
    let problem = "";
    const late = sleep(CASE_LIMIT_MS).then(() => {
      throw new Error(`took longer than ${CASE_LIMIT_MS / 1000} s`);
    });
    try {
      await Promise.race([run(), late]);
    } catch (error) {
      console.error(error);
      problem = String(error).split("\n")[0];
    }
    console.log(JSON.stringify({ client, case: name, problem }));
  }
  process.exit(0);
}
