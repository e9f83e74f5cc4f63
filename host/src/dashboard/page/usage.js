// What was used, and what it cost: by whom, of what, and when.

import { ask } from "./api.js";
import { chart } from "./chart.js";
import { byId, el } from "./dom.js";
import { compact, count, duration, money, plural } from "./format.js";
import { errorBox } from "./notices.js";
import { moments } from "./scale.js";
import { on } from "./state.js";

const HOUR = 3600;
const RANGES = {
  "1h": { title: "Last hour", seconds: HOUR, step: "minute" },
  "24h": { title: "Last 24 hours", seconds: 24 * HOUR, step: "hour" },
  "7d": { title: "Last 7 days", seconds: 168 * HOUR, step: "hour" },
  "30d": { title: "Last 30 days", seconds: 720 * HOUR, step: "day" },
};
const STEPS = { minute: 60, hour: HOUR, day: 24 * HOUR };
const MEASURES = {
  cost: { title: "Cost", of: (it) => Number(it.cost_usd), format: money },
  requests: { title: "Requests", of: (it) => it.requests, format: compact },
  tokens: { title: "Tokens", of: (it) => it.usage.total_tokens, format: compact },
  errors: { title: "Errors", of: (it) => it.errors, format: compact },
  latency: { title: "Latency", format: duration },
};
const GROUPS = { provider: "by provider", model: "by model", key: "by key" };
// More colours than this nobody can tell apart.
const MOST = 7;

const chosen = { range: "24h", measure: "requests", by: "provider" };
let answer = null;
let asking = new AbortController();

/** Shows the choices, and the chart that follows them. */
export function startUsage() {
  const select = (key, title, choices) => {
    const options = Object.entries(choices).map(([value, words]) => el("option", { value, selected: value === chosen[key] }, words));
    const node = el("select", { id: `usage-${key}`, on: { change: () => choose(key, node.value) } }, options);
    return el("label", {}, el("span", { class: "unseen" }, title), node);
  };
  const titles = (all) => Object.fromEntries(Object.entries(all).map(([key, { title }]) => [key, title]));
  byId("usage-controls").append(select("measure", "What", titles(MEASURES)), select("by", "Grouped", GROUPS), select("range", "When", titles(RANGES)));
  byId("usage-controls").addEventListener("submit", (event) => event.preventDefault());
  // Where it moves, it is asked for anew; not while somebody reads it.
  on("usage", () => !isRead() && load(isRead));
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    width = entry.contentRect.width;
    if (answer) show();
  }).observe(byId("usage-body"));
}

const isRead = () => byId("usage-body").querySelector(":focus, details[open]") !== null;

function choose(key, value) {
  chosen[key] = value;
  void load();
}

/** Asks, and shows the answer, unless it is in somebody's way by then. */
async function load(isInTheWay = () => false) {
  asking.abort();
  asking = new AbortController();
  const { seconds, step } = RANGES[chosen.range];
  const from = new Date(Date.now() - seconds * 1000).toISOString();
  const by = chosen.measure === "latency" ? "time" : `time,${chosen.by}`;
  try {
    const now = await ask(`/api/usage?from=${from}&step=${step}&by=${by}`, { signal: asking.signal });
    if (isInTheWay()) return;
    answer = now;
    show();
  } catch (error) {
    if (error.name !== "AbortError") byId("usage-body").replaceChildren(errorBox(error));
  }
}

function show() {
  const place = byId("usage-body");
  if (answer.totals.requests === 0) return place.replaceChildren(nothing());
  const measure = MEASURES[chosen.measure];
  const step = STEPS[answer.step];
  const at = moments(answer.from, answer.to, step);
  const series = chosen.measure === "latency" ? times(at) : stacks(at, measure);
  const title = `${measure.title}, ${chosen.measure === "latency" ? "" : `${GROUPS[chosen.by]}, `}${RANGES[chosen.range].title.toLowerCase()}`;
  const lines = chosen.measure === "latency";
  const drawn = chart({ title, at, step, series, lines, format: measure.format }, Math.max(place.clientWidth, 240));
  place.replaceChildren(totals(), drawn);
}

function nothing() {
  return el("div", { class: "empty" }, el("p", {}, el("strong", {}, "Nothing was asked in this time.")), el("p", {}, "Try the playground, or choose a longer time. What applications ask shows up here within seconds."));
}

function totals() {
  const { requests, errors, usage, cost_usd: cost, unpriced_requests: unpriced, estimated_requests: estimated, latency_ms: latency } = answer.totals;
  const notes = [
    ...(estimated > 0 ? [`${count(estimated)} estimated`] : []),
    ...(unpriced > 0 ? [`${count(unpriced)} without a known price`] : []),
  ];
  const words = [
    plural(requests, "request"),
    plural(errors, "error"),
    `${compact(usage.prompt_tokens)} tokens in, ${compact(usage.completion_tokens)} out`,
    `${money(cost)}${notes.length > 0 ? ` (${notes.join(", ")})` : ""}`,
    `p50 ${duration(latency.p50)}, p99 ${duration(latency.p99)}`,
  ];
  return el("p", { class: "totals" }, words.map((text) => el("span", {}, text)));
}

const nameOf = (it) => (chosen.by === "key" ? (it.key?.name ?? it.key?.id) : it[chosen.by]) ?? (chosen.by === "key" ? "no key" : "none");
const idOf = (it) => (chosen.by === "key" ? it.key?.id : it[chosen.by]) ?? null;

/** The largest groups, each with a value at every moment; all others together. */
function stacks(at, measure) {
  const groups = [...answer.groups].sort((a, b) => measure.of(b) - measure.of(a));
  const shown = groups.slice(0, groups.length > MOST ? MOST - 1 : MOST);
  const rows = new Map(shown.map((group) => [idOf(group), { name: nameOf(group), values: at.map(() => null) }]));
  const rest = { name: `${groups.length - shown.length} others`, values: at.map(() => null) };
  const places = new Map(at.map((moment, place) => [moment, place]));
  for (const point of answer.series) {
    const { values } = rows.get(idOf(point)) ?? rest;
    const place = places.get(Date.parse(point.at));
    if (place !== undefined) values[place] = (values[place] ?? 0) + measure.of(point);
  }
  return [...rows.values(), ...(shown.length < groups.length ? [rest] : [])];
}

function times(at) {
  const points = new Map(answer.series.map((point) => [Date.parse(point.at), point.latency_ms]));
  return ["p50", "p99"].map((name) => ({ name, values: at.map((moment) => points.get(moment)?.[name] ?? null) }));
}
