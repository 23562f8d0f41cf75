// What works alike on every page: the navigation to the rooms that this person may use, a notice's closing.

import { element, find } from "./element.js";
import { words } from "./words.js";

async function showRooms() {
  const answer = await fetch("/v1/rooms", { cache: "no-store" }).catch(() => null);
  if (!answer?.ok) return;
  const { rooms } = await answer.json();
  const links = rooms.map(({ name, path }) => {
    const link = element("a", { href: path, text: words().rooms[name] ?? name, dataset: { word: `rooms.${name}` } });
    if (path === location.pathname) link.setAttribute("aria-current", "page");
    return element("li", {}, link);
  });
  find("#rooms ul").replaceChildren(...links);
  find("#rooms").hidden = links.length < 2;
}

find("#problem button").addEventListener("click", () => (find("#problem").hidden = true));
document.addEventListener("signed-in", showRooms);
showRooms();
