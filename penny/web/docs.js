// The API as openapi.json tells it: every route with what it takes and what it answers.

import { ask, openDesk } from "./desk.js";
import { element, find } from "./element.js";
import { words } from "./words.js";

let api = null;

const resolve = (schema) => {
  const name = schema.$ref?.replace("#/components/schemas/", "");
  return name ? api.components.schemas[name] : schema;
};

/** A schema as a sketch: names and types, each reference once. */
function sketch(schema, seen = []) {
  if (schema.$ref) {
    if (seen.includes(schema.$ref)) return schema.$ref.split("/").pop();
    return sketch(resolve(schema), [...seen, schema.$ref]);
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map((each) => sketch(each, seen)).map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join(" | ");
  if (schema.type === "array") return [sketch(schema.items ?? {}, seen)];
  if (schema.properties) return Object.fromEntries(Object.entries(schema.properties).map(([name, inner]) => [name, sketch(inner, seen)]));
  return schema.format ? `${schema.type} (${schema.format})` : (schema.type ?? "any");
}

function body(title, content) {
  return Object.entries(content ?? {}).flatMap(([kind, { schema }]) => {
    const made = [element("h3", { text: `${title}: ${kind}` })];
    if (schema) made.push(element("pre", { tabIndex: 0, text: JSON.stringify(sketch(schema), null, 2) }));
    return made;
  });
}

function route(method, path, told) {
  const say = words().docs;
  const facts = (told.parameters ?? []).flatMap((each) => {
    const { schema } = each;
    const about = [each.required ? say.required : null, String(JSON.stringify(sketch(schema))).replaceAll('"', ""), each.description].filter(Boolean);
    return [element("dt", { text: each.name }), element("dd", { text: about.join(" · ") })];
  });
  const right = told["x-penny-right"];
  return element(
    "details",
    { class: "route" },
    element("summary", {}, element("b", { text: method.toUpperCase() }), element("code", { text: path }), element("span", { class: "quiet", text: told.summary })),
    element(
      "div",
      {},
      element("p", { class: "quiet", text: right ? say.right(right) : say.open }),
      facts.length ? element("dl", {}, ...facts) : null,
      ...body(say.sends, told.requestBody?.content),
      ...Object.entries(told.responses).flatMap(([status, each]) => body(`${say.answers} ${status}`, each.content)),
    ),
  );
}

function draw(isOpen) {
  const say = words().docs;
  document.title = `Penny · ${say.title}`;
  if (!isOpen) return;
  find("#docs-title").textContent = `${api.info.title} ${api.info.version}`;
  const rooms = Map.groupBy(
    Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, told]) => ({ method, path, told }))),
    ({ told }) => told.tags[0],
  );
  const made = [...rooms].map(([tag, routes]) =>
    element("div", { class: "room" }, element("h2", { text: tag }), ...routes.map(({ method, path, told }) => route(method, path, told))),
  );
  find("#routes").replaceChildren(...made);
}

openDesk({ load: async () => (api = await ask("/openapi.json")), draw });
