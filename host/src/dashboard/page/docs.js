// The page at /docs: what /openapi.json says, to be read and searched.

import { codesView } from "./docs-codes.js";
import { routeView } from "./docs-route.js";
import { words } from "./docs-words.js";
import { byId, el, say } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** Every route, in the order of the document. */
function routesOf(document) {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({ method, path, ...methods[method] })),
  );
}

/** What a search looks at. */
function textOf({ method, path, summary, description, operationId, tags }) {
  return [method, path, summary, description, operationId, ...tags].join(" ").toLowerCase();
}

function group(document, { name, description }, routes) {
  const views = routes.filter((route) => route.tags.includes(name)).map((route) => ({ text: textOf(route), ...routeView(document, route) }));
  const id = `group-${name.toLowerCase()}`;
  const node = el(
    "section",
    { class: "panel", "aria-labelledby": id },
    el("header", {}, el("h2", { id }, name), el("p", { class: "aside" }, words(description))),
    views.map(({ node }) => node),
  );
  const links = el("ul", {}, views.map(({ link }) => link));
  return { node, views, menu: el("div", {}, el("h2", {}, name), links) };
}

/** Shows the routes and codes in which every word stands. */
function find(groups, codes, text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  codes.show(wanted);
  let count = 0;
  for (const { node, menu, views } of groups) {
    const shown = views.filter((view) => wanted.every((word) => view.text.includes(word)));
    for (const view of views) view.node.hidden = view.link.hidden = !shown.includes(view);
    node.hidden = menu.hidden = shown.length === 0;
    count += shown.length;
  }
  const all = groups.reduce((sum, { views }) => sum + views.length, 0);
  say(byId("found"), count === all ? `${all} routes` : `${count} of ${all} routes`);
}

/** The route that the address names is opened; what else it names was not there when the browser looked for it. */
function openNamed(groups) {
  const id = decodeURIComponent(location.hash.slice(1));
  const view = groups.flatMap(({ views }) => views).find(({ node }) => node.id === id);
  if (view) view.node.open = true;
  byId(id)?.scrollIntoView();
}

async function start() {
  const answer = await fetch("/openapi.json", { credentials: "omit" });
  if (!answer.ok) throw new Error(`The host answered ${answer.status}`);
  const document = await answer.json();
  byId("about").replaceChildren(...words(document.info.description));
  const routes = routesOf(document);
  const groups = document.tags.map((tag) => group(document, tag, routes));
  const codes = codesView(document);
  byId("groups").replaceChildren(...groups.map(({ menu }) => menu), codes.menu);
  byId("routes").replaceChildren(...groups.map(({ node }) => node), codes.node);
  const input = byId("find");
  input.addEventListener("input", () => find(groups, codes, input.value));
  find(groups, codes, input.value);
  window.addEventListener("hashchange", () => openNamed(groups));
  openNamed(groups);
}

start().catch((error) => {
  byId("trouble").replaceChildren(
    el("div", { class: "error-box" }, el("strong", {}, "The document cannot be shown"), el("p", {}, `${error.message}. Reload the page to try again.`)),
  );
});
