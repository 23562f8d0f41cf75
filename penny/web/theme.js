// Light, dark, or as the system has it. Remembered for this browser.

const KEY = "penny.theme";
const NEXT = { auto: "dark", dark: "light", light: "auto" };

function remembered() {
  try {
    return localStorage.getItem(KEY) ?? "auto";
  } catch {
    return "auto"; // storage is off
  }
}

let theme = remembered() in NEXT ? remembered() : "auto";

export const currentTheme = () => theme;

export function showTheme() {
  document.documentElement.dataset.theme = theme;
}

/** The next of auto, dark, light. */
export function changeTheme() {
  theme = NEXT[theme];
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage is off: the choice lasts for this visit.
  }
  showTheme();
}
