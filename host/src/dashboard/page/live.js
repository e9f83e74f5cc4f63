// What happens, as it happens: one stream for as long as somebody looks at the page.

import { call } from "./api.js";
import { byId, say } from "./dom.js";
import { plural } from "./format.js";
import { readEvents } from "./sse.js";
import { loadPlugins, loadProviders, state, tell } from "./state.js";
import { takeStats } from "./traffic.js";

const TOPICS = "reload,provider,plugin,config,audit,stats";
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15000;
// Browsers keep few connections to one host: a page that nobody looks at gives its own back.
const HIDDEN_FOR = 30000;
// Figures come every other second: whoever says nothing for so long is gone, whatever the connection says.
const SILENCE = 10000;
const PAUSED = "paused";

let last;
let stop = new AbortController();
let wake = () => {};
let failures = 0;

/** Goes on for ever: a stream that ends is opened again. */
export async function startLive() {
  document.addEventListener("visibilitychange", watchVisibility);
  for (;;) {
    stop = new AbortController();
    try {
      await listen(stop);
    } catch (error) {
      const why = stop.signal.aborted ? "nothing is heard of the host" : (error.short ?? "the connection was lost");
      if (stop.signal.reason !== PAUSED) show("down", `Not live: ${why}`);
    }
    if (document.hidden) await new Promise((resolve) => (wake = resolve));
    else await pause();
  }
}

async function listen(stop) {
  let silence;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => stop.abort(), SILENCE);
  };
  heard();
  try {
    const headers = last === undefined ? {} : { "last-event-id": last };
    const response = await call(`/api/events?types=${TOPICS}`, { accept: "text/event-stream", headers, signal: stop.signal });
    failures = 0;
    show("up", "Live");
    // Whatever was missed is in there.
    void loadProviders();
    void loadPlugins();
    tell("live");
    for await (const event of readEvents(response.body)) {
      heard();
      take(event);
    }
  } finally {
    clearTimeout(silence);
  }
  show("down", "Not live: the host ended the connection");
}

function take({ type, data, id }) {
  if (id !== undefined) last = id;
  if (data === "") return;
  const body = JSON.parse(data);
  if (type === "stats") return takeStats(body);
  tell("event", { ...body, type });
  if (type === "provider") {
    if (body.kind === "condition") state.reasons.set(body.provider, { status: body.to, reason: body.reason });
    else if (body.kind === "breaker_opened") state.reasons.set(body.provider, { reason: body.reason });
  }
  // What comes of what an operator does is told by itself.
  if (type === "audit") return;
  void loadProviders();
  if (type !== "provider") void loadPlugins();
}

async function pause() {
  const wait = Math.min(FIRST_WAIT * 2 ** failures, LONGEST_WAIT) * (0.75 + Math.random() / 2);
  failures += 1;
  if (wait >= 1000) show("down", `Not live: trying again in ${plural(Math.round(wait / 1000), "second")}`);
  await Promise.race([
    new Promise((resolve) => setTimeout(resolve, wait)),
    new Promise((resolve) => window.addEventListener("online", resolve, { once: true })),
  ]);
}

function watchVisibility() {
  if (!document.hidden) return wake();
  setTimeout(() => {
    if (!document.hidden) return;
    show("waiting", "Paused while nobody looks");
    stop.abort(PAUSED);
  }, HIDDEN_FOR);
}

function show(kind, words) {
  const live = byId("live");
  live.dataset.live = kind;
  say(live.querySelector(".live-word"), words);
  document.body.classList.toggle("stale", kind === "down");
}
