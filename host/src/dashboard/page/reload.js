// Reload: what would happen, line by line; then for real.

import { ask } from "./api.js";
import { byId, el, whileBusy } from "./dom.js";
import { duration, plural } from "./format.js";
import { announce, errorBox } from "./notices.js";
import { loadPlugins, loadProviders } from "./state.js";
import { statusMark } from "./status.js";

let report;
let go;

/** Shows the buttons. Reloading takes a look first. */
export function startReload() {
  report = el("div", { class: "report" });
  const look = el("button", { type: "button", on: { click: () => whileBusy(look, () => run(true)) } }, "Dry run");
  go = el("button", { type: "button", class: "main", disabled: true, "aria-describedby": "reload-how", on: { click: () => whileBusy(go, () => run(false)) } }, "Reload");
  byId("reload-body").append(
    el("p", { class: "fine", id: "reload-how" }, "Reads plugins, configuration and .env again. A dry run says what would happen; then it can be done. Requests under way finish where they began."),
    el("div", { class: "buttons" }, look, go),
    report,
  );
}

async function run(dryRun) {
  const done = await showReport(() => ask(`/api/providers/reload${dryRun ? "?dry_run=true" : ""}`, { method: "POST" }));
  go.disabled = !(dryRun && done);
  if (dryRun) return;
  await Promise.all([loadProviders(), loadPlugins()]);
}

/** Shows the report that somebody asks for, or why there is none. Whether there is one. */
export async function showReport(get) {
  report.replaceChildren(el("p", { class: "fine" }, "Working …"));
  try {
    const answer = await get();
    report.replaceChildren(...lines(answer));
    const changes = report.querySelectorAll(".diff li");
    announce(`${answer.dry_run ? "Dry run" : "Reload"}: ${answer.status}, ${plural(changes.length, "line")} in the report`);
    return true;
  } catch (error) {
    report.replaceChildren(errorBox(error));
    announce(`Failed: ${error.message}`);
    return false;
  }
}

function lines({ status, dry_run: dryRun, duration_ms: took, plugins, providers, settings, needs_restart: restart, warnings, config }) {
  const title = el("h3", {}, statusMark(status).node, dryRun ? " What would happen" : " What happened", el("span", { class: "fine" }, ` in ${duration(took)}`));
  const changes = [
    ...plugins.loaded.map((id) => line("+", "loaded", "plugin", id)),
    ...plugins.reloaded.map(({ id, from, to }) => line("~", "reloaded", "plugin", id, `generation ${from} → ${to}`)),
    ...plugins.removed.map((id) => line("−", "removed", "plugin", id)),
    ...plugins.failed.map((it) => failure("plugin", it.id ?? it.file.split("/").at(-1), it)),
    ...providers.created.map((name) => line("+", "created", "provider", name)),
    ...providers.updated.map((name) => line("~", "updated", "provider", name)),
    ...providers.removed.map((name) => line("−", "removed", "provider", name)),
    ...providers.failed.map((it) => failure("provider", it.name, it)),
    ...(settings ?? []).map(setting),
    ...(warnings ?? []).map(warning),
  ];
  const same = `Unchanged: ${plural(plugins.unchanged.length, "plugin")}, ${plural(providers.unchanged.length, "provider")}.`;
  return [
    title,
    config && el("div", { class: "error-box" }, el("p", {}, el("strong", {}, "The configuration cannot be used")), el("pre", { tabindex: "0" }, config.message)),
    restart?.length > 0 && el("p", {}, `Read only when the host starts, and changed since: ${restart.join(", ")}.`),
    changes.length > 0 ? el("ul", { class: "diff" }, changes) : !config && el("p", {}, dryRun ? "Nothing would change." : "Nothing has changed."),
    el("p", { class: "fine" }, same),
  ].filter(Boolean);
}

const KINDS = { "+": "added", "~": "changed", "−": "removed", "!": "failed" };

function line(sign, word, what, name, more) {
  return el(
    "li",
    { "data-change": KINDS[sign] },
    el("span", { class: "sign", "aria-hidden": "true" }, sign),
    el("div", {}, el("p", {}, el("strong", {}, name), ` ${what} ${word}`, more && el("span", { class: "fine" }, ` ${more}`))),
  );
}

function setting({ pointer, before, after, needs_restart: waits }) {
  const values = `${JSON.stringify(before)} → ${JSON.stringify(after)}`;
  return line("~", waits ? "waits for the next start" : "changed", "setting", pointer, values);
}

function warning({ pointer, reason, hint }) {
  const item = line("!", "doubtful", "setting", pointer);
  item.lastChild.append(el("p", {}, `${reason}: ${hint}`));
  return item;
}

function failure(what, name, { step, message, hint, kept_previous: kept }) {
  const item = line("!", "failed", what, name, `at ${step}`);
  item.lastChild.append(
    el("p", {}, message),
    hint ? el("p", { class: "hint" }, `To mend it: ${hint}`) : "",
    kept ? el("p", { class: "fine" }, "The one before goes on serving.") : "",
  );
  return item;
}
