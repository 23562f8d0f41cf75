// Making elements: text is always text, never markup.

/** `element("p", { class: "quiet", text: "…", hidden: true, dataset: {…} }, child, …)` */
export function element(tag, { class: className = "", text, dataset = {}, ...facts } = {}, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  Object.assign(made.dataset, dataset);
  for (const [name, value] of Object.entries(facts)) {
    if (name in made) made[name] = value;
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

export function drawing(tag, facts = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(facts)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export const find = (selector) => document.querySelector(selector);
