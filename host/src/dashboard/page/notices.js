// What is told about what was done: errors with what the host said of them, and words for screen readers.

import { byId, el } from "./dom.js";
import { on } from "./state.js";

const waiting = new Set();
let timer;

/** Says it to screen readers; what comes together is said together, and nothing twice. */
export function announce(words) {
  waiting.add(words);
  clearTimeout(timer);
  timer = setTimeout(() => {
    byId("announcer").textContent = [...waiting].join(". ");
    waiting.clear();
  }, 700);
}

/** An error as people can use it: what is wrong, how to mend it, and the id that is in the log. */
export function errorBox(error) {
  return el(
    "div",
    { class: "error-box" },
    el("p", {}, el("strong", {}, error.short ?? "Something went wrong")),
    el("p", {}, error.details ?? error.message),
    error.requestId && el("p", { class: "fine" }, "Request ", el("code", {}, error.requestId)),
  );
}

/** Runs what a button is for, and shows in `place` what came of it: `work` gives the words. */
export async function withOutcome(place, work) {
  place.replaceChildren();
  try {
    const words = await work();
    if (words) place.append(el("p", {}, words));
  } catch (error) {
    place.append(errorBox(error));
  }
}

/** Shows what keeps the page from knowing anything. */
export function startNotices() {
  let shown;
  on("trouble", (error) => {
    if (shown === error?.message) return;
    shown = error?.message;
    byId("trouble").replaceChildren(...(error ? [errorBox(error)] : []));
  });
}
