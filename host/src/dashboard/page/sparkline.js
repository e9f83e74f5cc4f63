// A minute or two of traffic, in a line of text's height.

import { el, svg } from "./dom.js";
import { LINE_LENGTH, lineOf } from "./traffic.js";

const HEIGHT = 24;
const STEP = 2;

/** Requests as bars, what failed of them at their foot. */
export function sparkline() {
  const [requests, errors] = ["requests", "errors"].map((kind) => svg("path", { class: `spark-${kind}` }));
  const base = svg("path", { class: "spark-base", d: `M0 ${HEIGHT - 0.5}H${LINE_LENGTH * STEP}` });
  const drawing = svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${LINE_LENGTH * STEP} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    base,
    requests,
    errors,
  );
  const words = el("span", { class: "spark-words" });
  const node = el("span", { class: "traffic" }, drawing, words);
  const update = (name, text) => {
    const line = lineOf(name);
    const most = Math.max(1, ...line.map((step) => step.requests));
    requests.setAttribute("d", bars(line, "requests", most));
    errors.setAttribute("d", bars(line, "errors", most));
    if (words.textContent !== text) words.textContent = text;
  };
  return { node, update };
}

function bars(line, kind, most) {
  const begin = LINE_LENGTH - line.length;
  return line
    .map((step, place) => {
      const height = (step[kind] / most) * (HEIGHT - 2);
      return height > 0 ? `M${(begin + place) * STEP} ${HEIGHT - 1}v${(-Math.max(height, 1)).toFixed(1)}h1.4V${HEIGHT - 1}z` : "";
    })
    .join("");
}
