// What happened lately, newest first.

import { byId, el } from "./dom.js";
import { count, duration, plural, time } from "./format.js";
import { on } from "./state.js";
import { statusMark, wordOf } from "./status.js";

const KEPT = 200;
const TYPES = { all: "Everything", provider: "Providers", plugin: "Plugins", reload: "Reloads", config: "Configuration", audit: "Changes by operators" };

let list;
let empty;
let shown = "all";

/** Shows the list, which fills as things happen. */
export function startEvents() {
  const options = Object.entries(TYPES).map(([value, words]) => el("option", { value }, words));
  const select = el("select", { id: "events-filter", on: { change: () => filter(select.value) } }, options);
  byId("events-controls").append(el("label", {}, el("span", { class: "unseen" }, "Of which kind"), select));
  byId("events-controls").addEventListener("submit", (event) => event.preventDefault());
  list = el("ol", { class: "events", tabindex: "0", "aria-label": "Events, newest first" });
  empty = el("p", { class: "empty" }, "Nothing yet. Reloads, plugins that come and go, providers that change and what operators do show up here by themselves.");
  byId("events-body").append(list, empty);
  on("event", add);
  filter(shown);
}

function filter(type) {
  shown = type;
  list.dataset.shown = type;
  for (const item of list.children) item.hidden = type !== "all" && item.dataset.type !== type;
  const any = [...list.children].some((item) => !item.hidden);
  list.hidden = !any;
  empty.hidden = any;
}

function add(event) {
  const [status, words, more] = describe(event);
  const item = el(
    "li",
    { "data-type": event.type },
    el("time", { datetime: event.at }, event.at ? time(event.at) : ""),
    el("div", {}, el("p", {}, statusMark(status).node, " ", words), more && el("p", { class: "fine" }, more)),
  );
  list.prepend(item);
  while (list.children.length > KEPT) list.lastElementChild.remove();
  filter(shown);
}

/** A word for the mark, what happened, and why. */
function describe(event) {
  const known = DESCRIPTIONS[`${event.type}.${event.kind}`] ?? DESCRIPTIONS[event.type];
  return known ? known(event) : ["unknown", `${event.type} ${event.kind ?? ""}`];
}

const DESCRIPTIONS = {
  reload: (it) => [it.status, it.dry_run ? "Dry run" : `Reload by ${it.reason}`, changes(it)],
  missed: (it) => ["unknown", it.count ? `${plural(it.count, "event")} came and went unseen` : "The host was started anew"],
  "provider.condition": (it) => [it.to, `${it.provider}, was ${wordOf(it.from)}`, it.reason],
  "provider.breaker_opened": (it) => ["degraded", `${it.provider} failed too often and is left alone`, it.reason],
  "provider.breaker_closed": (it) => ["available", `${it.provider} answers again`],
  "provider.key_resting": (it) => ["busy", `${it.provider}: key ${it.key + 1} ${it.refused ? "was refused" : "rests"}`, `for ${duration(it.seconds * 1000)}`],
  "plugin.loaded": (it) => ["active", `${it.plugin} ${it.version}`, `generation ${it.generation}${it.replaces ? `, after ${it.replaces}` : ""}`],
  "plugin.refused": (it) => ["refused", it.plugin ?? it.file.split("/").at(-1), `at ${it.step}: ${it.message}`],
  "plugin.quarantined": (it) => ["quarantined", it.plugin, it.hint],
  "plugin.removed": (it) => ["disabled", `${it.plugin} removed`],
  "plugin.draining": (it) => ["draining", `${it.plugin}, generation ${it.generation}`, `${count(it.in_flight)} in flight`],
  "plugin.unloaded": (it) => ["ok", `${it.plugin}, generation ${it.generation}, unloaded`],
  "plugin.resident": (it) => ["unused", `${it.plugin}, generation ${it.generation}, stays in memory`, it.reason],
  "config.refused": (it) => ["refused", `Configuration with ${plural(it.problems, "problem")}`, it.messages.join("; ")],
  audit: (it) => [it.outcome, `${whoDid(it)}: ${it.route}${it.target ? `, ${it.target}` : ""}`, it.code ?? differences(it)],
  "config.needs_restart": (it) => ["unused", "Configuration read only at start has changed", it.sections.join(", ")],
};

const OPERATORS = { admin_token: "The admin token", local: "Somebody on this machine", nobody: "Nobody known", watch: "A watched file", signal: "A signal" };

function whoDid({ who, key_name: name }) {
  return OPERATORS[who] ?? `The key ${name}`;
}

/** What was before and after, in a line. */
function differences({ before, after }) {
  const names = [...new Set([before, after].flatMap((picture) => Object.keys(picture ?? {})))];
  const of = (picture, name) => (picture?.[name] === undefined ? "nothing" : JSON.stringify(picture[name]));
  return names.map((name) => `${name}: ${of(before, name)} → ${of(after, name)}`).join("; ");
}

function changes({ plugins, providers, duration_ms: took }) {
  const of = (name, change) => {
    const words = ["added", "changed", "removed", "failed"].filter((kind) => change[kind] > 0).map((kind) => `${change[kind]} ${kind}`);
    return words.length ? `${name}: ${words.join(", ")}` : "";
  };
  const all = [of("plugins", plugins), of("providers", providers)].filter(Boolean).join("; ");
  return `${all || "nothing changed"} (${duration(took)})`;
}
