// One route: a line, and all that is known of it when that is opened.

import { commands } from "./docs-curl.js";
import { codesOf } from "./docs-codes.js";
import { headersView, parameterView, resolved, schemaView } from "./docs-schema.js";
import { words } from "./docs-words.js";
import { el } from "./dom.js";

/** Who may ask, in words. */
function audience(security) {
  if (!security.length) return "Anyone may ask.";
  const scopes = security.flatMap(({ key }) => key ?? []);
  return `Asks for a key with the scope ${scopes.join(" or ")}, or for the admin token, where the host wants one.`;
}

function example(content) {
  const value = content.example;
  if (value === undefined) return null;
  return el("pre", { tabindex: "0" }, typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

function answer(document, status, response) {
  const { description, content = {}, headers = {} } = resolved(document, response);
  const node = el(
    "details",
    { class: "answer" },
    el("summary", {}, el("strong", { "data-class": status[0] }, status), " ", words(description)),
  );
  const body = ([kind, it]) => [el("p", { class: "fine" }, kind), ...codesOf(document, it.schema), ...schemaView(document, it.schema), example(it)].filter(Boolean);
  const fill = () => {
    const bodies = Object.entries(content).flatMap(body);
    node.append(...(bodies.length ? bodies : [el("p", { class: "fine" }, "Without a body.")]), el("p", { class: "fine" }, "Headers"), headersView(document, headers));
  };
  node.addEventListener("toggle", fill, { once: true });
  return node;
}

function part(title, ...children) {
  return el("section", {}, el("h4", {}, title), ...children);
}

function body(document, route) {
  const { description, parameters, requestBody, responses, security } = route;
  const asked = requestBody?.content["application/json"];
  return el(
    "div",
    { class: "route-body" },
    description && el("p", {}, words(description)),
    el("p", { class: "fine" }, audience(security)),
    parameters.length > 0 && part("Parameters", el("ul", { class: "members" }, parameters.map((it) => parameterView(document, it)))),
    asked && part(requestBody.required ? "Body" : "Body, if any", ...schemaView(document, asked.schema)),
    part("Command", ...commands(route)),
    part("Answers", ...Object.entries(responses).map(([status, it]) => answer(document, status, it))),
  );
}

/** The route, and the link to it. */
export function routeView(document, route) {
  const { method, path, summary, operationId } = route;
  const badge = () => el("span", { class: "method", "data-method": method }, method.toUpperCase());
  const node = el(
    "details",
    { class: "route", id: operationId },
    el("summary", {}, el("h3", {}, badge(), " ", el("code", {}, path)), " ", el("span", { class: "fine" }, summary)),
  );
  node.addEventListener("toggle", () => node.append(body(document, route)), { once: true });
  return { node, link: el("li", {}, el("a", { href: `#${operationId}` }, badge(), " ", el("span", {}, path))) };
}
