// What the desks have in common: a person signs in, asks, and sees what went wrong.

import { find } from "./element.js";
import { asSignedIn, signIn } from "./sign-in.js";
import { changeTheme, currentTheme, showTheme } from "./theme.js";
import { currentLanguage, speak, words } from "./words.js";

/** The answer's body. Throws an Error with the answer's `status`, `code`, the `field` at fault and a `diff`. */
export async function ask(path, options) {
  const response = await asSignedIn(path, options);
  if (response.ok) return response.json();
  const { error } = await response.json().catch(() => ({}));
  throw Object.assign(new Error(error?.message ?? `${path}: ${response.status}`), { status: response.status, code: error?.code, field: error?.param, diff: error?.diff });
}

/**
 * A desk: `load` asks for what it shows, `draw` shows it in the language and theme of now.
 * Returns `act`, which runs what a person asked for and shows what goes wrong until the next.
 */
export function openDesk({ load, draw }) {
  let isOpen = false;

  function complain(error) {
    const asksKey = error.status === 401 || (error.code === "forbidden" && !isOpen);
    find("#problem").hidden = asksKey && document.body.dataset.state === "loading";
    find("#problem p").textContent = error.status ? error.message : words().admin.unreachable;
    if (!asksKey) return;
    document.body.dataset.state = "locked";
    find("#entry").hidden = false;
    find("#desk").hidden = true;
  }

  async function act(work) {
    try {
      find("#problem").hidden = true;
      await work();
    } catch (error) {
      complain(error);
    }
  }

  async function show() {
    await load();
    isOpen = true;
    document.body.dataset.state = "open";
    if (find("#entry")) find("#entry").hidden = true;
    find("#desk").hidden = false;
    redraw();
  }

  function redraw() {
    const say = words();
    find("#theme").setAttribute("aria-label", say.themes[currentTheme()]);
    find("#theme").title = say.themes[currentTheme()];
    draw(isOpen);
  }

  find("#entry")?.addEventListener("submit", (submit) => {
    submit.preventDefault();
    const key = find("#key").value;
    find("#key").value = "";
    act(async () => {
      const response = await signIn(key);
      if (!response.ok) throw Object.assign(new Error((await response.json()).error.message), { status: response.status });
      await show();
    });
  });
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      speak(button.dataset.language);
      redraw();
    });
  }
  find("#theme").addEventListener("click", () => {
    changeTheme();
    redraw();
  });
  showTheme();
  speak(currentLanguage());
  redraw();
  act(show);
  return act;
}
