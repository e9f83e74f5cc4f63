// How something does, in a word and a shape. Colour only repeats what these say.

import { el, say, svg } from "./dom.js";

const SHAPES = {
  good: "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13z",
  busy: "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13zM8 4a4 4 0 0 0 0 8z",
  warn: "M8 1.2L15.4 14.4H.6z",
  bad: "M4 1.5L8 5.5L12 1.5L14.5 4L10.5 8L14.5 12L12 14.5L8 10.5L4 14.5L1.5 12L5.5 8L1.5 4z",
  off: "M1.5 6.5h13v3h-13z",
  none: "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13zM8 4a4 4 0 1 0 0 8a4 4 0 1 0 0-8z",
};

const KINDS = {
  available: "good", active: "good", healthy: "good", ok: "good", done: "good",
  busy: "busy", draining: "busy", partial: "warn",
  degraded: "warn", quarantined: "warn",
  unavailable: "bad", unhealthy: "bad", refused: "bad", failed: "bad",
  disabled: "off", shadowed: "off",
  unknown: "none", unused: "none", no_providers: "none",
};

const WORDS = { no_providers: "no providers", unknown: "not asked yet" };

export const kindOf = (status) => KINDS[status] ?? "none";
export const wordOf = (status) => WORDS[status] ?? status;

/** A shape and a word that can be changed. */
export function statusMark(status) {
  const shape = svg("path", { "fill-rule": "evenodd" });
  const word = el("span", {});
  const node = el("span", { class: "status" }, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, shape), word);
  const update = (status) => {
    node.dataset.kind = kindOf(status);
    shape.setAttribute("d", SHAPES[kindOf(status)]);
    say(word, wordOf(status));
  };
  update(status);
  return { node, update };
}
