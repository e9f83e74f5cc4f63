// The figures at the top: how it all does, in one look.

import { ask } from "./api.js";
import { byId, el, say } from "./dom.js";
import { compact, count, duration, money, plural, rate, share, uptime } from "./format.js";
import { on, state, statusOf, tell } from "./state.js";
import { statusMark } from "./status.js";
import { lastMinute } from "./traffic.js";

// Sums are asked for when there was traffic, and not more often than this.
const SUMS_WAIT = 10000;
// What is over is in the books a moment later.
const BOOKS_WAIT = 1500;
const HOUR = 3600000;

const figures = {};
const mark = statusMark("unknown");
let sums = null;
let asked = 0;
let traffic = 0;
let waiting;

/** Shows them, and keeps them true. */
export function startOverview() {
  const figure = (key, title) => {
    const value = el("dd", { class: "value" });
    const fine = el("dd", { class: "fine" });
    figures[key] = { value, fine };
    byId("figures").append(el("div", { "data-figure": key }, el("dt", {}, title), value, fine));
  };
  figure("status", "Gateway");
  figure("rate", "Requests per minute");
  figure("errors", "Failed in the last minute");
  figure("latency", "Latency, p50 in the last hour");
  figure("flight", "In flight");
  figure("cost", "Cost today");
  figures.status.value.append(mark.node);
  on(["providers", "stats"], show);
  on("stats", (step) => {
    if (step.requests > 0) traffic = Date.now();
    if (traffic > asked - BOOKS_WAIT) wantSums();
  });
  on("live", loadSums);
}

function wantSums() {
  waiting ??= setTimeout(loadSums, Math.max(BOOKS_WAIT, asked + SUMS_WAIT - Date.now()));
}

async function loadSums() {
  clearTimeout(waiting);
  waiting = undefined;
  asked = Date.now();
  const midnight = new Date().setHours(0, 0, 0, 0);
  const since = (moment) => ask(`/api/usage?from=${new Date(moment).toISOString()}`);
  try {
    const [hour, today] = await Promise.all([since(asked - HOUR), since(midnight)]);
    sums = { hour: hour.totals, today: today.totals };
    show();
  } catch {
    // The chart of usage says why.
  }
  tell("usage");
}

/** As the host judges it: all that count can serve, some can, none can, or there are none. */
function verdict() {
  const enabled = state.providers ?? [];
  const well = enabled.filter((provider) => ["available", "busy", "unknown"].includes(statusOf(provider))).length;
  if (enabled.length === 0) return "no_providers";
  if (well === enabled.length) return "healthy";
  return well > 0 || enabled.some((provider) => statusOf(provider) === "degraded") ? "degraded" : "unhealthy";
}

function put(key, value, fine = "") {
  say(figures[key].value, value);
  say(figures[key].fine, fine);
}

function show() {
  if (state.providers) {
    const status = verdict();
    mark.update(status);
    document.title = status === "healthy" ? "Patchbay" : `${status.replace("_", " ")} · Patchbay`;
  }
  if (state.stats) {
    const { uptime_seconds: seconds, version, providers } = state.stats;
    say(figures.status.fine, `${version}, up ${uptime(seconds)}`);
    const minute = lastMinute();
    put("rate", minute.perMinute === null ? "–" : rate(minute.perMinute), minute.seconds < 55 ? "since this page was opened" : "");
    put("errors", count(minute.errors), minute.requests > 0 ? `${share(minute.errors, minute.requests)} of ${count(minute.requests)}` : "no requests");
    const flight = [...providers.values()].reduce((sum, provider) => sum + provider.in_flight, 0);
    put("flight", count(flight), plural(providers.size, "provider"));
  }
  if (sums) {
    const { p50, p99 } = sums.hour.latency_ms;
    put("latency", duration(p50), `p99 ${duration(p99)}`);
    const { today } = sums;
    const unpriced = today.unpriced_requests > 0 ? `, ${count(today.unpriced_requests)} without a price` : "";
    put("cost", money(today.cost_usd), `${compact(today.usage.total_tokens)} tokens${unpriced}`);
  }
}
