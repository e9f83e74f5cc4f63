// Schemas as lists of members. What is deep is shown when it is opened, so that nothing goes round in circles.

import { words } from "./docs-words.js";
import { el } from "./dom.js";

const BOUNDS = { minimum: "from", exclusiveMinimum: "above", maximum: "up to", minLength: "length from", maxLength: "length up to", minItems: "items from", maxItems: "items up to", pattern: "pattern", default: "default" };

/** More words than these are not listed where only the kind is told. */
const MANY = 12;

/** What a reference leads to. */
export function resolved(document, schema) {
  const path = schema?.$ref;
  if (!path) return schema ?? {};
  return path.slice(2).split("/").reduce((value, name) => value?.[name], document) ?? {};
}

/** All of it in one: what a schema says beside `allOf` goes with what stands in there. */
function whole(document, schema) {
  const { allOf = [], ...rest } = resolved(document, schema);
  const parts = [...allOf.map((part) => whole(document, part)), rest];
  return parts.reduce((sum, part) => merged(sum, part), {});
}

function merged(one, other) {
  const properties = { ...one.properties };
  for (const [name, schema] of Object.entries(other.properties ?? {})) {
    properties[name] = properties[name] ? { allOf: [properties[name], schema] } : schema;
  }
  const required = [...(one.required ?? []), ...(other.required ?? [])];
  return { ...one, ...other, ...(Object.keys(properties).length ? { properties } : {}), ...(required.length ? { required } : {}) };
}

function choices({ anyOf, oneOf }) {
  return anyOf ?? oneOf ?? [];
}

/** The words that a value may be, each with what is said of it. */
function constants(document, schema) {
  const it = whole(document, schema);
  if (it.const !== undefined) return [it];
  const all = choices(it).flatMap((choice) => constants(document, choice));
  return it.enum ? all.filter((word) => it.enum.includes(word.const)) : all;
}

/** What they mean, where that is said. */
function meanings(document, schema) {
  const said = constants(document, schema).filter((it) => it.description);
  if (!said.length) return null;
  const row = (it) => el("li", {}, el("p", {}, el("code", { class: "member" }, it.const)), el("p", { class: "fine" }, words(it.description)));
  return opened("What the words mean", () => [el("ul", { class: "members" }, said.map(row))]);
}

/** What a value is, in a few words. */
function kindOf(document, schema) {
  const it = whole(document, schema);
  if (it.const !== undefined) return JSON.stringify(it.const);
  if (it.enum) return it.enum.map((value) => JSON.stringify(value)).join(" | ");
  const meant = constants(document, it).length;
  if (meant > MANY) return `one of ${meant} words`;
  const several = choices(it).map((choice) => kindOf(document, choice));
  if (several.length && !it.type) return [...new Set(several)].join(" | ");
  const types = [it.type ?? "anything"].flat();
  return types.map((type) => (type === "array" ? `list of ${it.items ? kindOf(document, it.items) : "anything"}` : type)).join(" | ");
}

function boundsOf(schema) {
  return Object.entries(BOUNDS)
    .filter(([name]) => ["number", "string", "boolean"].includes(typeof schema[name]))
    .map(([name, word]) => `${word} ${name === "pattern" ? schema[name] : JSON.stringify(schema[name])}`);
}

/** Whatever of a schema has members of its own. */
function inner(document, schema) {
  const it = whole(document, schema);
  if (it.properties) return [it];
  const below = [...choices(it), it.items, it.contentSchema, typeof it.additionalProperties === "object" ? it.additionalProperties : null];
  return below.filter(Boolean).flatMap((part) => inner(document, part));
}

function membersOf(document, it) {
  const required = new Set(it.required);
  const rows = Object.entries(it.properties).map(([name, schema]) => {
    const itself = whole(document, schema);
    const about = schema.description ?? itself.description;
    const bounds = boundsOf(itself);
    return el(
      "li",
      {},
      el("p", {}, el("code", { class: "member" }, name), " ", el("span", { class: "kind" }, kindOf(document, schema)), required.has(name) && el("span", { class: "required" }, " required")),
      about && el("p", { class: "fine" }, words(about)),
      bounds.length > 0 && el("p", { class: "fine" }, bounds.join(", ")),
      meanings(document, schema),
      deeper(document, inner(document, schema)),
    );
  });
  return el("ul", { class: "members" }, rows);
}

function deeper(document, parts) {
  if (!parts.length) return null;
  return opened(parts.length > 1 ? `Members, in one of ${parts.length} ways` : "Members", () => parts.map((part) => membersOf(document, part)));
}

/** What is made when it is opened. */
function opened(title, make) {
  const node = el("details", {}, el("summary", {}, title));
  node.addEventListener("toggle", () => node.append(...make()), { once: true });
  return node;
}

/** A schema, at its first level. */
export function schemaView(document, schema) {
  const it = whole(document, schema);
  const kind = el("p", {}, el("span", { class: "kind" }, kindOf(document, schema)));
  const about = it.description && el("p", { class: "fine" }, words(it.description));
  if (it.properties) return [kind, about, membersOf(document, it)].filter(Boolean);
  return [kind, about, deeper(document, inner(document, it))].filter(Boolean);
}

/** What comes with an answer, as members of it. */
export function headersView(document, headers) {
  const row = ([name, header]) => {
    const { required, description, schema } = resolved(document, header);
    const always = required && el("span", { class: "required" }, " always");
    return el("li", {}, el("p", {}, el("code", { class: "member" }, name), " ", el("span", { class: "kind" }, kindOf(document, schema)), always), el("p", { class: "fine" }, words(description)));
  };
  return el("ul", { class: "members" }, Object.entries(headers).map(row));
}

/** A parameter, as one more member. */
export function parameterView(document, { name, in: place, required, description, schema }) {
  const bounds = boundsOf(schema);
  return el(
    "li",
    {},
    el("p", {}, el("code", { class: "member" }, name), " ", el("span", { class: "kind" }, `${kindOf(document, schema)}, in the ${place}`), required && el("span", { class: "required" }, " required")),
    description && el("p", { class: "fine" }, words(description)),
    bounds.length > 0 && el("p", { class: "fine" }, bounds.join(", ")),
  );
}
