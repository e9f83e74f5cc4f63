// The same request on a command line.

import { el } from "./dom.js";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function command({ method, path, parameters, security, responses }, body) {
  const named = path.replace(/\{(\w+)\}/g, (_, name) => parameters.find((it) => it.name === name)?.example ?? name);
  const streams = Object.values(responses).some(({ content }) => content?.["text/event-stream"]);
  const parts = [`curl${streams ? " -N" : ""}${method === "get" ? "" : ` -X ${method.toUpperCase()}`} ${quoted(location.origin + named)}`];
  // The shell fills it in, so that no token stands in a history.
  if (security.length) parts.push('-H "authorization: Bearer $TOKEN"');
  if (body !== undefined) parts.push("-H 'content-type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return parts.join(" \\\n  ");
}

function block(name, text) {
  const shown = el("pre", { tabindex: "0" }, text);
  const word = el("span", { "aria-live": "polite" }, "Copy");
  const button = el("button", { type: "button" }, word, el("span", { class: "unseen" }, ` the command${name}`));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      word.textContent = "Copied";
    } catch {
      // Browsers lend the clipboard only to pages that nobody on the way can have changed, and not always to those.
      getSelection().selectAllChildren(shown);
      word.textContent = "Selected";
    }
    setTimeout(() => (word.textContent = "Copy"), 2000);
  });
  return el("div", { class: "command" }, shown, button);
}

/** A command for each example of the body, or one where there is none. */
export function commands(route) {
  const examples = Object.entries(route.requestBody?.content["application/json"].examples ?? {});
  if (!examples.length) return [block("", command(route))];
  return examples.map(([name, { value }]) => block(examples.length > 1 ? `: ${name}` : "", command(route, value)));
}
