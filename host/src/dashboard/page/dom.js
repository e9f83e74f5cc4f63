// Making elements. Text from anywhere goes in as text: nothing here takes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, handlers (`on`) and children; of those, nothing and false are left out. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same, for drawings. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Writes only what changed, so that whoever reads or selects it is not disturbed. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Keeps one child for each item, in order; children stay, and so does the focus in them. */
export function keyed(parent, items, key, make) {
  const known = (parent.known ??= new Map());
  const gone = new Set(known.keys());
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    let child = known.get(id);
    if (!child) known.set(id, (child = make(item)));
    gone.delete(id);
    child.update(item);
    if (child.node === place) place = place.nextElementSibling;
    else parent.insertBefore(child.node, place);
  }
  for (const id of gone) {
    known.get(id).node.remove();
    known.delete(id);
  }
}

/** A table that turns into cards where there is no room. The roles stay, whatever the style makes of it. */
export function table(caption, columns) {
  const body = el("tbody", { role: "rowgroup" });
  const head = columns.map(({ title, kind, unseen }) =>
    el("th", { scope: "col", role: "columnheader", class: kind }, unseen ? el("span", { class: "unseen" }, title) : title),
  );
  const node = el(
    "table",
    { role: "table" },
    el("caption", { class: "unseen" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head)),
    body,
  );
  return { node, body };
}

/** A cell that knows the title of its column, which stands beside it in cards. */
export function cell(title, kind, ...children) {
  return el("td", { role: "cell", class: kind, "data-title": title }, ...children);
}

/** The cell that names its row. */
export function rowHead(...children) {
  return el("th", { scope: "row", role: "rowheader" }, ...children);
}

/** Runs a handler while its button says so and cannot be pressed again. */
export async function whileBusy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}
