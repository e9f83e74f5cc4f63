// Every library: what it is, which generation serves, what still drains, and what is wrong.

import { ask } from "./api.js";
import { byId, cell, el, keyed, rowHead, say, table, whileBusy } from "./dom.js";
import { count, plural, time } from "./format.js";
import { showReport } from "./reload.js";
import { loadPlugins, on, state } from "./state.js";
import { statusMark } from "./status.js";

const COLUMNS = [
  { title: "Plugin" },
  { title: "State" },
  { title: "Generation", kind: "number" },
  { title: "In flight", kind: "number" },
  { title: "Draining" },
  { title: "Actions", unseen: true },
];

let list;

/** Shows the list, and keeps it true. */
export function startPlugins() {
  list = table("Plugins, and what becomes of them", COLUMNS);
  on("plugins", show);
  on("stats", () => state.plugins && showInUse());
}

function show() {
  const place = byId("plugins-body");
  const { plugins } = state;
  if (plugins.length === 0) {
    place.replaceChildren(
      el("div", { class: "empty" },
        el("p", {}, el("strong", {}, "No plugins yet.")),
        el("p", {}, "Put a library into ", el("code", {}, "plugins/custom"), ", or begin one with ", el("code", {}, "patchbay plugin new hello"), "; then reload.")),
    );
    return;
  }
  if (list.node.parentElement !== place) place.replaceChildren(list.node);
  keyed(list.body, plugins, (plugin) => plugin.file, makeRow);
  const wrong = plugins.filter((plugin) => plugin.problem).length;
  say(byId("plugins-count"), `${plural(plugins.length, "library", "libraries")}${wrong ? `, ${count(wrong)} with a problem` : ""}`);
}

/** What is under way is told all the time; what is not in there is not in use. */
function showInUse() {
  for (const plugin of state.plugins) {
    const { in_flight: left = 0, draining = [] } = state.stats.plugins.get(plugin.file) ?? {};
    Object.assign(plugin, { in_flight: left, draining });
  }
  show();
}

function makeRow(plugin) {
  const id = plugin.id;
  const title = el("span", { class: "name" });
  const about = el("span", { class: "fine" });
  const mark = statusMark(plugin.state);
  const problem = el("div", { class: "problem" });
  const [generation, inFlight] = [cell("Generation", "number"), cell("In flight", "number")];
  const draining = cell("Draining", "draining");
  const actions = cell("Actions", "actions");
  const node = el("tr", { role: "row", "data-plugin": id ?? plugin.file }, rowHead(title, about), cell("State", "state", mark.node, problem), generation, inFlight, draining, actions);
  let shown = "";
  const update = (plugin) => {
    mark.update(plugin.state);
    say(generation, count(plugin.generation));
    say(inFlight, count(plugin.in_flight));
    // The rest is made anew, and only where it is another: somebody may have the focus in it.
    const now = JSON.stringify([plugin.state, plugin.version, plugin.problem, plugin.draining, plugin.resident]);
    if (now === shown) return;
    shown = now;
    say(title, plugin.id ?? baseName(plugin.file));
    say(about, [plugin.name !== plugin.id && plugin.name, plugin.version, plugin.state === "shadowed" && baseName(plugin.file)].filter(Boolean).join(" · "));
    problem.replaceChildren(...explain(plugin));
    draining.replaceChildren(...drains(plugin));
    setActions(actions, plugin);
  };
  return { node, update };
}

const baseName = (file) => file.split("/").at(-1);

function explain({ problem, resident, state }) {
  const parts = [];
  if (problem) {
    parts.push(el("p", {}, el("span", { class: "step" }, `${problem.step} `), problem.message));
    if (problem.hint) parts.push(el("p", { class: "hint" }, `To mend it: ${problem.hint}`));
  }
  if (state === "shadowed") parts.push(el("p", {}, "another file with this plugin is used in its place"));
  for (const { generation, reason } of resident) parts.push(el("p", { class: "fine" }, `generation ${generation} stays in memory: ${reason}`));
  return parts;
}

function drains({ draining }) {
  if (draining.length === 0) return [el("span", { class: "fine" }, "none")];
  return draining.map(({ generation, in_flight: left, since, closing }) =>
    el("p", {}, `generation ${generation}: `, closing ? `waits for ${closing}` : `${count(left)} in flight`, el("span", { class: "fine" }, ` since ${time(since)}`)),
  );
}

function setActions(place, { id, state }) {
  place.replaceChildren();
  if (!id || state === "shadowed") return;
  const button = (word, verb) => {
    const node = el("button", { type: "button", "aria-label": `${word} plugin ${id}`, on: { click: () => whileBusy(node, () => act(id, verb)) } }, word);
    return node;
  };
  if (state === "disabled") return place.append(button("Enable", "enable"));
  place.append(button("Reload", "reload"), button("Disable", "disable"));
}

async function act(id, verb) {
  await showReport(() => ask(`/api/plugins/${encodeURIComponent(id)}/${verb}`, { method: "POST" }));
  await loadPlugins();
}
