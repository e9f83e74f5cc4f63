// Words of the document: what stands between backticks is code.

import { el } from "./dom.js";

export function words(text) {
  return (text ?? "").split("`").map((part, place) => (place % 2 ? el("code", {}, part) : part));
}
