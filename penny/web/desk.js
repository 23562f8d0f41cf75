// What the desks have in common: a person signs in, asks, and sees what went wrong.

import { find } from "./element.js";
import { asSignedIn, signIn } from "./sign-in.js";
import { changeTheme, currentTheme, showTheme } from "./theme.js";
import { currentLanguage, speak, words } from "./words.js";

/** A response that went well. Throws an Error with its `status`, `code`, the `field` at fault and a `diff`. */
export async function checked(path, response) {
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw Object.assign(new Error(error?.message ?? `${path}: ${response.status}`), { status: response.status, code: error?.code, field: error?.param, diff: error?.diff });
}

/** The answer's body. Throws as `checked` does. */
export const ask = async (path, options) => (await checked(path, await asSignedIn(path, options))).json();

/**
 * A desk: `load` asks for what it shows, again every `pollMs` where that is given; `draw` shows it
 * in the language and theme of now. Returns `act`, which runs what a person asked for; what goes
 * wrong with that is shown until the next.
 */
export function openDesk({ load, draw, pollMs = 0 }) {
  const { dataset } = document.body;
  let isOpen = false;
  let isAsked = false; // what is shown went wrong for a person: no poll takes it away

  function complain(error, asked) {
    const asksKey = error.status === 401 || (error.code === "forbidden" && !isOpen);
    isAsked = asked;
    find("#problem").hidden = asksKey && !asked;
    find("#problem p").textContent = error.status ? error.message : words().admin.unreachable;
    if (!asksKey) return;
    dataset.state = "locked";
    find("#entry").hidden = false;
    find("#desk").hidden = true;
    if (find("#health")) find("#health").textContent = "";
  }

  async function act(work) {
    try {
      find("#problem").hidden = true;
      isAsked = false;
      await work();
    } catch (error) {
      complain(error, true);
    }
  }

  /** Asked for by the page itself. */
  async function look() {
    try {
      await show();
      if (!isAsked) find("#problem").hidden = true;
    } catch (error) {
      complain(error, isAsked);
    }
  }

  async function poll() {
    if (dataset.state !== "locked" && !document.hidden) await look();
    setTimeout(poll, pollMs);
  }

  async function show() {
    await load();
    isOpen = true;
    dataset.state = "open";
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
      await checked("/v1/sign-in", response);
      if (pollMs) {
        dataset.state = "loading"; // what is shown may still be being opened: polls go on
        find("#entry").hidden = true;
      }
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
  if (pollMs) poll();
  else look();
  return act;
}
