// The bay: a cable to every provider, and what goes through it. Only a picture of what the table says in words.

import { byId, svg } from "./dom.js";
import { count } from "./format.js";
import { on, state, statusOf } from "./state.js";
import { kindOf } from "./status.js";
import { lineOf } from "./traffic.js";

const MOST = 8;
const ROW = 26;
const RECENT_STEPS = 5;

let cables = [];
let drawn = "";

/** Draws it, and redraws it where there is another width or another set of providers. */
export function startBay() {
  on("providers", draw);
  on("stats", move);
  new ResizeObserver(draw).observe(byId("bay"));
}

function draw() {
  const place = byId("bay");
  const all = (state.providers ?? []).slice(0, MOST);
  const more = (state.providers ?? []).length - all.length;
  const width = place.clientWidth;
  const key = `${width}/${more}/${all.map((provider) => provider.name).join("\n")}`;
  place.hidden = all.length === 0;
  if (key === drawn || width === 0) return move();
  drawn = key;
  const height = Math.max((all.length + (more ? 1 : 0)) * ROW, 4 * ROW);
  const middle = (height - (more ? ROW : 0)) / 2;
  const socket = Math.min(width * 0.62, width - 132);
  const first = middle - ((all.length - 1) * ROW) / 2;
  cables = all.map((provider, place) => {
    const y = first + place * ROW;
    const path = `M26 ${middle}C${socket * 0.5} ${middle} ${socket * 0.45} ${y} ${socket} ${y}`;
    const label = svg("text", { x: socket + 17, y: y + 4 }, cut(provider.name));
    const jack = [svg("circle", { class: "ring", cx: socket, cy: y, r: 8 }), svg("circle", { class: "hole", cx: socket, cy: y, r: 3.5 })];
    const flow = svg("path", { class: "flow", d: path });
    const node = svg("g", { class: "cable" }, svg("path", { class: "sheath", d: path }), flow, jack, label);
    return { name: provider.name, node };
  });
  const main = svg("g", { class: "main-jack" }, svg("circle", { class: "ring", cx: 18, cy: middle, r: 12 }), svg("circle", { class: "hole", cx: 18, cy: middle, r: 5.5 }));
  place.replaceChildren(svg("svg", { width, height, viewBox: `0 0 ${width} ${height}` }, cables.map((cable) => cable.node), main, more > 0 && svg("text", { x: socket + 17, y: height - 8 }, `and ${count(more)} more`)));
  move();
}

const cut = (name) => (name.length > 15 ? `${name.slice(0, 14)}…` : name);

function move() {
  for (const { name, node } of cables) {
    const provider = state.providers.find((provider) => provider.name === name);
    if (!provider) continue;
    const moment = state.stats?.providers.get(name);
    const recent = lineOf(name).slice(-RECENT_STEPS).reduce((sum, step) => sum + step.requests, 0);
    node.dataset.kind = kindOf(statusOf(provider));
    node.classList.toggle("busy", recent > 0 || moment?.in_flight > 0);
    // From a thread to a cable, as traffic grows tenfold.
    const sheath = node.querySelector(".sheath");
    sheath.setAttribute("stroke-width", (1.5 + Math.min(Math.log10(1 + recent) * 2, 4.5)).toFixed(1));
  }
}
