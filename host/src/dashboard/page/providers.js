// Who may answer, and how they do.

import { ask } from "./api.js";
import { byId, cell, el, keyed, rowHead, say, table, whileBusy } from "./dom.js";
import { NOTHING, count, duration, plural, rate, share } from "./format.js";
import { announce, withOutcome } from "./notices.js";
import { sparkline } from "./sparkline.js";
import { loadProviders, on, state, statusOf } from "./state.js";
import { statusMark, wordOf } from "./status.js";
import { lineOf } from "./traffic.js";

const COLUMNS = [
  { title: "Provider" },
  { title: "State" },
  { title: "Traffic" },
  { title: "p50 / p99", kind: "number" },
  { title: "In flight", kind: "number" },
  { title: "Requests", kind: "number" },
  { title: "Failed", kind: "number" },
  { title: "Actions", unseen: true },
];

let list;
let known = new Map();

/** Shows the list, and keeps it true. */
export function startProviders() {
  list = table("Providers, and how they do", COLUMNS);
  on("providers", show);
  on("stats", () => state.providers && show());
}

function show() {
  const off = state.disabled.map((name) => ({ name, status: "disabled" }));
  const all = [...state.providers, ...off];
  const place = byId("providers-body");
  if (all.length === 0) place.replaceChildren(nobody());
  else if (list.node.parentElement !== place) place.replaceChildren(list.node);
  keyed(list.body, all, (provider) => `${provider.name}/${provider.status === "disabled"}`, makeRow);
  const well = all.filter((provider) => !["unavailable", "disabled"].includes(statusOf(provider))).length;
  say(byId("providers-count"), all.length ? `${count(well)} of ${count(all.length)} can serve` : "");
  tellChanges(all);
}

function nobody() {
  return el(
    "div",
    { class: "empty" },
    el("p", {}, el("strong", {}, "No providers yet.")),
    el("p", {}, "Give a vendor's key when the host starts, such as ", el("code", {}, "GROQ_API_KEY=… patchbay dev"), ", or name one in ", el("code", {}, "plugin_config.json"), ":"),
    el("pre", { tabindex: "0" }, '{ "plugins": { "mock": {} } }'),
    el("p", {}, "Then reload: a dry run first says what would happen."),
  );
}

/** Screen readers hear of changes, not of how everything was when the page was opened. */
function tellChanges(all) {
  const now = new Map(all.map((provider) => [provider.name, statusOf(provider)]));
  for (const [name, status] of now) {
    if (known.has(name) && known.get(name) !== status) announce(`${name} is ${wordOf(status)}`);
  }
  known = now;
}

function makeRow(provider) {
  const { name } = provider;
  const isOff = provider.status === "disabled";
  const mark = statusMark(statusOf(provider));
  const why = el("span", { class: "why" });
  const about = el("span", { class: "fine" });
  const spark = sparkline();
  const numbers = COLUMNS.slice(3, 7).map(({ title }) => cell(title, "number"));
  const check = el("button", { type: "button", "aria-label": `Check ${name} now`, on: { click: () => whileBusy(check, () => checkNow(name)) } }, "Check");
  const word = isOff ? "Enable" : "Disable";
  const turn = el("button", { type: "button", "aria-label": `${word} ${name}`, on: { click: () => whileBusy(turn, () => setEnabled(name, isOff)) } }, word);
  const node = el(
    "tr",
    { role: "row", "data-provider": name, class: isOff && "off" },
    rowHead(el("span", { class: "name" }, name), about),
    cell("State", "state", mark.node, why),
    cell("Traffic", "chart", spark.node),
    numbers,
    cell("Actions", "actions", !isOff && check, turn),
  );
  const update = (provider) => {
    const moment = { ...provider, ...state.stats?.providers.get(name) };
    const status = isOff ? "disabled" : moment.status;
    mark.update(status);
    say(why, reason(name, status, moment));
    say(about, isOff ? "" : [provider.default_model, `${provider.plugin === name ? "plugin" : provider.plugin} ${provider.plugin_version}`].filter(Boolean).join("\n"));
    spark.update(name, isOff ? "" : `${rate((lineOf(name).at(-1)?.requests ?? 0))}/s`);
    const { p50, p99 } = moment.latency_ms ?? {};
    const { requests_total: requests, errors_total: errors } = moment;
    const failed = requests > 0 ? `${count(errors)} (${share(errors, requests)})` : count(errors);
    [p50 === null || p50 === undefined ? NOTHING : `${duration(p50)} / ${duration(p99)}`, count(moment.in_flight), count(requests), failed].forEach((text, place) => say(numbers[place], text));
  };
  return { node, update };
}

function reason(name, status, moment) {
  const parts = [];
  const known = state.reasons.get(name);
  if (!["available", "disabled"].includes(status) && known?.reason && (!known.status || known.status === status)) parts.push(known.reason);
  if (moment.breaker === "open") parts.push("left alone for a while");
  if (moment.breaker === "half_open") parts.push("being tried again");
  if (moment.api_keys_resting > 0) parts.push(`${plural(moment.api_keys_resting, "key")} of ${moment.api_keys_count} resting`);
  return parts.join("; ");
}

const pathOf = (name) => `/api/providers/${encodeURIComponent(name)}`;

function checkNow(name) {
  return withOutcome(byId("providers-outcome"), async () => {
    const { status, reason, latency_ms: took } = await ask(`${pathOf(name)}/health`, { method: "POST" });
    state.reasons.set(name, { status, reason });
    await loadProviders();
    return `${name} is ${wordOf(status)}, checked in ${duration(took)}${reason ? `: ${reason}` : ""}`;
  });
}

function setEnabled(name, enabled) {
  return withOutcome(byId("providers-outcome"), async () => {
    await ask(pathOf(name), { method: "PATCH", body: { enabled } });
    await loadProviders();
    return `${name} is ${enabled ? "enabled" : "disabled"}; that stays so over restarts`;
  });
}
