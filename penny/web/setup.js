// The parts of this house and their state.

import { ask, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { words } from "./words.js";

let parts = [];

function row({ name, state, facts, faults, page }) {
  const say = words().setup;
  const [kind, which] = name.split(" ");
  const title = which ? `${say.names[kind]} ${words().calls.modes[which] ?? which}` : say.names[kind];
  return element(
    "li",
    {},
    element("strong", {}, page ? element("a", { href: page, text: title }) : title),
    element("span", { class: "chip", dataset: { state }, text: say.states[state] }),
    element("span", { class: "quiet", text: facts.join(" · ") }),
    ...faults.map((fault) => element("p", { class: "why", text: fault })),
  );
}

openDesk({
  load: async () => ({ parts } = await ask("/v1/set-up")),
  draw: (isOpen) => {
    document.title = `Penny · ${words().setup.title}`;
    if (isOpen) find("#parts").replaceChildren(...parts.map(row));
  },
});
