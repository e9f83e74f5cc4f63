// A chart over time: bars that stand on each other, or lines; with a legend, a reading by pointer or arrow keys, and
// the same as a table for whoever cannot see it.

import { el, say, svg } from "./dom.js";
import { moment, tick } from "./format.js";
import { roundUp, ticks } from "./scale.js";

const HEIGHT = 190;
const TOP = 8;
const BOTTOM = 22;
const LEFT = 52;
const TICK = 76;
const ROOM = HEIGHT - TOP - BOTTOM;

/**
 * `title`; `at`: the moments; `step` in seconds; `series`: `{ name, values }` with a value or nothing at each moment;
 * `lines`: whether these are lines; `format`: a value in words.
 */
export function chart(data, width) {
  const { at, series, lines } = data;
  const values = lines ? series.flatMap((one) => one.values) : at.map((_, place) => sumAt(series, place));
  const top = roundUp(Math.max(0, ...values.map((value) => value ?? 0)));
  const stepWidth = (width - LEFT - 4) / at.length;
  const x = (place) => LEFT + place * stepWidth;
  const y = (value) => TOP + ROOM * (1 - value / top);
  const cursor = svg("rect", { class: "cursor", y: TOP, height: ROOM, width: stepWidth, visibility: "hidden" });
  const drawing = svg(
    "svg",
    { class: "chart", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
    grid(data, top, width, y),
    cursor,
    series.map((one, place) => svg("path", { class: `${lines ? "line" : "bar"} tone-${place}`, d: lines ? line(one, x, y, stepWidth) : bars(series, place, x, y, stepWidth) })),
    // A word at the end would be cut.
    ticks(at.length, width - LEFT, TICK).filter((place) => x(place) + TICK <= width + 8).map((place) => svg("text", { class: "tick", x: x(place), y: HEIGHT - 6 }, tick(at[place], data.step, at.length))),
  );
  const readout = el("p", { class: "readout" });
  const show = (place) => {
    if (place === null) {
      cursor.setAttribute("visibility", "hidden");
      return say(readout, "");
    }
    cursor.setAttribute("x", x(place));
    cursor.setAttribute("visibility", "visible");
    say(readout, reading(data, place));
  };
  const node = el("figure", { class: "chart-figure" }, pointed(drawing, data, x, stepWidth, show), readout, legend(data), asTable(data));
  return node;
}

const sumAt = (series, place) => series.reduce((sum, one) => sum + (one.values[place] ?? 0), 0);

function grid({ format }, top, width, y) {
  return [0, 0.25, 0.5, 0.75, 1].map((part) =>
    svg(
      "g",
      { class: part === 0 ? "base" : "grid" },
      svg("path", { d: `M${LEFT} ${y(top * part).toFixed(1)}H${width - 4}` }),
      part % 0.5 === 0 && svg("text", { class: "scale", x: LEFT - 8, y: y(top * part) + 4 }, format(top * part)),
    ),
  );
}

function bars(series, which, x, y, stepWidth) {
  const width = Math.max(stepWidth * 0.78, 1).toFixed(2);
  return series[which].values
    .map((value, place) => {
      if (!value) return "";
      const below = sumAt(series.slice(0, which), place);
      return `M${(x(place) + stepWidth * 0.11).toFixed(2)} ${y(below).toFixed(2)}V${y(below + value).toFixed(2)}h${width}V${y(below).toFixed(2)}z`;
    })
    .join("");
}

/** Broken where there was nothing to measure; a lone point is a short dash. */
function line({ values }, x, y, stepWidth) {
  return values
    .map((value, place) => {
      if (value === null) return "";
      const begins = place === 0 || values[place - 1] === null;
      const middle = (x(place) + stepWidth / 2).toFixed(2);
      return `${begins ? `M${(x(place) + stepWidth * 0.2).toFixed(2)} ${y(value).toFixed(2)}H` : "L"}${begins ? middle : `${middle} ${y(value).toFixed(2)}`}`;
    })
    .join("");
}

function reading({ at, step, series, format, lines }, place) {
  const parts = series.filter((one) => one.values[place]).map((one) => `${one.name} ${format(one.values[place])}`);
  const all = lines || series.length === 1 ? "" : `${format(sumAt(series, place))} in all: `;
  return `${moment(at[place], step)}: ${parts.length ? all + parts.join(", ") : "nothing"}`;
}

/** What is under the pointer is read out, and what arrow keys go to. */
function pointed(drawing, { at, title, step, series, format }, x, stepWidth, show) {
  let place = null;
  const go = (to) => {
    place = to === null ? null : Math.min(Math.max(to, 0), at.length - 1);
    show(place);
    node.setAttribute("aria-valuenow", place ?? 0);
    node.setAttribute("aria-valuetext", reading({ at, step, series, format }, place ?? 0));
  };
  const keys = { ArrowRight: () => (place ?? -1) + 1, ArrowLeft: () => (place ?? at.length) - 1, Home: () => 0, End: () => at.length - 1 };
  const node = el(
    "div",
    {
      class: "chart-stage", tabindex: "0", role: "slider", "aria-label": `${title}: read it with the arrow keys`, "aria-valuemin": "0", "aria-valuemax": at.length - 1,
      on: {
        keydown: (event) => {
          if (!keys[event.key]) return;
          event.preventDefault();
          go(keys[event.key]());
        },
        pointermove: (event) => go(Math.floor((event.offsetX - LEFT) / stepWidth)),
        pointerleave: () => document.activeElement !== node && go(null),
        blur: () => go(null),
      },
    },
    drawing,
  );
  go(null);
  return node;
}

function legend({ series, format, lines }) {
  const total = (one) => one.values.reduce((sum, value) => sum + (value ?? 0), 0);
  return el(
    "ul",
    { class: "legend" },
    series.map((one, place) => el("li", {}, svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: `tone-${place}`, width: 10, height: 10, rx: 2 })), one.name, !lines && el("span", { class: "fine" }, ` ${format(total(one))}`))),
  );
}

function asTable({ title, at, step, series, format }) {
  const filled = at.map((_, place) => place).filter((place) => series.some((one) => one.values[place]));
  const row = (place) =>
    el("tr", {}, el("th", { scope: "row" }, moment(at[place], step)), series.map((one) => el("td", { class: "number" }, one.values[place] ? format(one.values[place]) : "–")));
  return el(
    "details",
    { class: "as-table" },
    el("summary", {}, "The same as a table"),
    el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": `${title}, as a table` },
      el("table", {}, el("caption", { class: "unseen" }, title), el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "When"), series.map((one) => el("th", { scope: "col", class: "number" }, one.name)))), el("tbody", {}, filled.map(row)))),
  );
}
