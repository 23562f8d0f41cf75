// What the pages say, in the language that was chosen.

import { EN } from "./words-en.js";
import { ES } from "./words-es.js";

const WORDS = { es: ES, en: EN };

const KEY = "penny.language";

function remembered() {
  const asked = new URLSearchParams(location.search).get("lang");
  try {
    return asked ?? localStorage.getItem(KEY) ?? "es";
  } catch {
    return asked ?? "es"; // storage is off: Spanish, then
  }
}

let language = remembered() in WORDS ? remembered() : "es";

export const currentLanguage = () => language;
export const words = () => WORDS[language];

/** A number as the language writes it; `options` are those of Intl.NumberFormat. */
export const number = (value, options) => new Intl.NumberFormat(language, options).format(value);

/** A score from 0 to 1. */
export const score = (value) => number(value, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const pick = (book, path) => path.split(".").reduce((part, name) => part[name], book);

/** Change the language and put its words in every element that asks for one. */
export function speak(wanted = language) {
  language = wanted;
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // Storage is off: the choice lasts for this visit.
  }
  document.documentElement.lang = wanted;
  const fill = (attribute, put) => {
    for (const element of document.querySelectorAll(`[data-${attribute}]`)) {
      put(element, pick(WORDS[wanted], element.dataset[attribute]));
    }
  };
  fill("word", (element, word) => (element.textContent = word));
  fill("label", (element, word) => element.setAttribute("aria-label", word));
  fill("title", (element, word) => (element.title = word));
  fill("placeholder", (element, word) => (element.placeholder = word));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === wanted));
  }
}
