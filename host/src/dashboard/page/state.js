// What the page knows, and who wants to hear when it changes.

import { ask } from "./api.js";

/** `providers` and `disabled` as listed; `plugins` as listed; `traffic` by provider; `reasons` by provider. */
export const state = {
  providers: null,
  disabled: [],
  plugins: null,
  stats: null,
  reasons: new Map(),
};

const listeners = new Map();

/** Calls back whenever one of these was told to have changed. */
export function on(kinds, heard) {
  for (const kind of [].concat(kinds)) listeners.set(kind, [...(listeners.get(kind) ?? []), heard]);
}

export function tell(kind, value) {
  for (const heard of listeners.get(kind) ?? []) heard(value);
}

/** Runs now, and once more after that if it was asked for meanwhile: a burst of events is one or two questions. */
function coalesced(work) {
  let running = null;
  let again = false;
  return function run() {
    if (running) {
      again = true;
      return running;
    }
    running = (async () => {
      do {
        again = false;
        await work();
      } while (again);
    })().finally(() => (running = null));
    return running;
  };
}

const guarded = (work) =>
  coalesced(async () => {
    try {
      await work();
      tell("trouble", null);
    } catch (error) {
      tell("trouble", error);
    }
  });

export const loadProviders = guarded(async () => {
  const list = await ask("/api/providers");
  state.providers = list.providers;
  // Newer than the figures that came last.
  for (const { name, status, breaker } of list.providers) Object.assign(state.stats?.providers.get(name) ?? {}, { status, breaker });
  state.disabled = list.disabled ?? [];
  state.strategy = list.default_strategy;
  tell("providers");
});

export const loadPlugins = guarded(async () => {
  const list = await ask("/api/plugins");
  state.plugins = list.plugins;
  state.ignored = list.ignored ?? [];
  tell("plugins");
});

/** One of the words for how a provider does, of those that the figures of the moment bring. */
export const statusOf = (provider) => state.stats?.providers.get(provider.name)?.status ?? provider.status;
