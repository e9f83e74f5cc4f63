// The figures that move all the time, and a minute or two of what they were.

import { state, tell } from "./state.js";

/** So many steps are kept for the lines that show them. */
const KEPT = 60;
const MINUTE = 60000;

const lines = new Map();
const steps = [];

/** One step of the stream's. Counters begin anew with the host. */
export function takeStats(body) {
  const providers = new Map(body.providers.map((provider) => [provider.name, provider]));
  const before = state.stats?.providers;
  const step = { at: Date.parse(body.at), seconds: 0, requests: 0, errors: 0 };
  if (before) {
    step.seconds = Math.max((step.at - state.stats.at) / 1000, 0.001);
    for (const provider of body.providers) {
      const [requests, errors] = ["requests_total", "errors_total"].map((name) =>
        Math.max(provider[name] - (before.get(provider.name)?.[name] ?? provider[name]), 0),
      );
      step.requests += requests;
      step.errors += errors;
      const line = lines.get(provider.name) ?? [];
      line.push({ requests: requests / step.seconds, errors: errors / step.seconds });
      if (line.length > KEPT) line.shift();
      lines.set(provider.name, line);
    }
    steps.push(step);
    while (steps.length > 1 && step.at - steps[0].at >= MINUTE) steps.shift();
  }
  const plugins = new Map(body.plugins.map((plugin) => [plugin.file, plugin]));
  state.stats = { ...body, at: step.at, providers, plugins };
  tell("stats", step);
}

/** Requests a second of one provider, oldest first. */
export const lineOf = (name) => lines.get(name) ?? [];
export const LINE_LENGTH = KEPT;

/** What there was in the last minute, or since the page was opened. */
export function lastMinute() {
  const sum = (name) => steps.reduce((sum, step) => sum + step[name], 0);
  const [seconds, requests, errors] = ["seconds", "requests", "errors"].map(sum);
  return { seconds, requests, errors, perMinute: seconds > 0 ? (requests * 60) / Math.max(seconds, 10) : null };
}
