// What the desks have in common: a person signs in, asks, and sees what went wrong.

import { find } from "./element.js";
import { tell } from "./faults.js";
import { asSignedIn, signIn } from "./sign-in.js";
import { changeTheme, currentTheme, showTheme } from "./theme.js";
import { currentLanguage, speak, words } from "./words.js";

const REFUSED = ["sign_in_refused", "provider_away"];

/** A response that went well. Throws an Error with its `status`, `code`, the `field` at fault and a `diff`. */
export async function checked(path, response) {
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  const { message = `${path}: ${response.status}`, code, param: field, diff, retryable } = error ?? {};
  throw Object.assign(new Error(message), { status: response.status, code, field, diff, retryable });
}

/** The answer's body. Throws as `checked` does. */
export const ask = async (path, options) => (await checked(path, await asSignedIn(path, options))).json();

/** Sign in; a key that opens nothing is not the same as none. Throws as `checked` does. */
async function enter(key) {
  const response = await signIn(key);
  await checked("/v1/sign-in", response).catch((error) => {
    if (error.code === "unauthorized") error.code = error.retryable ? "keys_unreadable" : "key_unknown";
    throw error;
  });
}

/** Whether nobody is signed in. Where callers need no key they are told by a right that they lack. */
async function isSignedOut({ status, code }) {
  if (status === 401) return true;
  if (code !== "forbidden") return false;
  const { signed_in: isIn } = await ask("/v1/sign-in").catch(() => ({ signed_in: false }));
  return !isIn;
}

/**
 * A desk: `load` asks for what it shows, again every `pollMs` where that is given; `draw` shows it
 * in the language and theme of now. Returns `act`, which runs what a person asked for; what goes
 * wrong with that is shown until the next.
 */
export function openDesk({ load, draw, pollMs = 0 }) {
  const { dataset } = document.body;
  let isOpen = false;
  let isAsked = false; // what is shown went wrong for a person: no poll takes it away
  let fault = null; // what is shown

  function showFault() {
    if (fault) find("#problem p").textContent = tell(fault);
  }

  async function complain(error, asked) {
    const isOut = await isSignedOut(error);
    isAsked = asked;
    fault = isOut && error.code !== "key_unknown" && isOpen ? { status: error.status, code: "signed_out" } : error;
    find("#problem").hidden = isOut && !isOpen && !asked; // who opens a page was never signed in
    showFault();
    if (!isOut && (isOpen || error.code !== "forbidden")) return;
    isOpen = false;
    dataset.state = "locked";
    find("#entry").hidden = false;
    find("#desk").hidden = true;
    if (find("#health")) find("#health").textContent = "";
  }

  function tellRefused(code) {
    history.replaceState(null, "", location.pathname);
    fault = { status: 403, code: REFUSED.includes(code) ? code : "internal_error" };
    isAsked = true;
    find("#problem").hidden = false;
    showFault();
  }

  async function act(work) {
    try {
      find("#problem").hidden = true;
      isAsked = false;
      await work();
    } catch (error) {
      await complain(error, true);
    }
  }

  /** Asked for by the page itself. */
  async function look() {
    try {
      await show();
      if (!isAsked) find("#problem").hidden = true;
    } catch (error) {
      await complain(error, isAsked);
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
    showFault();
    draw(isOpen);
  }

  find("#entry")?.addEventListener("submit", (submit) => {
    submit.preventDefault();
    const key = find("#key").value;
    find("#key").value = "";
    act(async () => {
      await enter(key);
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
  const first = pollMs ? poll() : look();
  const refused = new URLSearchParams(location.search).get("refused"); // by the organisation's provider
  if (refused) first.then(() => tellRefused(refused));
  return act;
}
