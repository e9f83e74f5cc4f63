// What errors are called: for each code what it means and what to do, as the document has it.

import { words } from "./docs-words.js";
import { el } from "./dom.js";

const known = (document) => document.components.schemas.ErrorCode.oneOf;

function row({ const: code, title, description }) {
  return el("li", {}, el("p", {}, el("code", { class: "member" }, code), " ", el("span", { class: "fine" }, title)), el("p", { class: "fine" }, words(description)));
}

/** Those that a refusal may have; nothing of an answer that is none. */
export function codesOf(document, schema) {
  const refined = [schema, ...(schema.anyOf ?? [])].flatMap(({ allOf }) => allOf ?? []).map(({ properties }) => properties?.error?.properties?.code ?? properties?.code);
  const named = refined.filter(Boolean).flatMap((code) => code.enum ?? code.examples ?? []);
  if (!named.length) return [];
  return [el("p", { class: "fine" }, "Codes"), el("ul", { class: "members" }, known(document).filter((it) => named.includes(it.const)).map(row))];
}

/** All of them, to be looked up: below the routes, and found like these. */
export function codesView(document) {
  const rows = known(document).map((it) => ({ text: [it.const, it.title, it.description].join(" ").toLowerCase(), node: row(it) }));
  const node = el(
    "section",
    { class: "panel", "aria-labelledby": "error-codes" },
    el("header", {}, el("h2", { id: "error-codes" }, "Error codes"), el("p", { class: "aside" }, words("What stands in the `code` of errors, what it means, and what to do."))),
    el("ul", { class: "members codes" }, rows.map((it) => it.node)),
  );
  const menu = el("div", {}, el("h2", {}, "Errors"), el("ul", {}, el("li", {}, el("a", { href: "#error-codes" }, el("span", { class: "method" }, "code"), " ", el("span", {}, "Error codes")))));
  const show = (wanted) => {
    for (const { text, node } of rows) node.hidden = !wanted.every((word) => text.includes(word));
    node.hidden = menu.hidden = rows.every((it) => it.node.hidden);
  };
  return { node, menu, show };
}
