// A conversation with whoever answers: as it comes, and what it took.

import { ApiError, ask, call } from "./api.js";
import { byId, el, say } from "./dom.js";
import { count, duration, money, plural } from "./format.js";
import { announce, errorBox } from "./notices.js";
import { readEvents } from "./sse.js";
import { on } from "./state.js";

const conversation = [];
const parts = {};
let running = null;

/** Shows the form. Models are those that the host lists. */
export function startPlayground() {
  const field = (id, title, input, kind) => {
    parts[id] = input;
    input.id = `chat-${id}`;
    return el("div", { class: `field ${kind ?? ""}` }, el("label", { for: input.id }, title), input);
  };
  const models = el("datalist", { id: "chat-models" });
  const model = el("input", { type: "text", list: "chat-models", placeholder: "auto", autocomplete: "off", spellcheck: "false" });
  const send = (parts.send = el("button", { type: "submit", class: "main" }, "Send"));
  const stop = (parts.stop = el("button", { type: "button", hidden: true, on: { click: () => running?.abort() } }, "Stop"));
  const clear = (parts.clear = el("button", { type: "button", class: "quiet", hidden: true, on: { click: forget } }, "Start over"));
  parts.talk = el("div", { class: "talk", tabindex: "0", role: "log", "aria-label": "Conversation", "aria-live": "off" });
  parts.talk.hidden = true;
  const form = el(
    "form",
    { on: { submit: submit } },
    el("div", { class: "fields" },
      field("model", "Model", model),
      field("temperature", "Temperature", el("input", { type: "number", min: "0", max: "2", step: "0.1", placeholder: "0.7", inputmode: "decimal" }), "small"),
      field("tokens", "Most tokens", el("input", { type: "number", min: "1", step: "1", placeholder: "1000", inputmode: "numeric" }), "small")),
    el("details", {}, el("summary", {}, "System prompt"), field("system", "System prompt", el("textarea", { rows: "3" }))),
    field("message", "Message", el("textarea", { rows: "3", required: true, placeholder: "Say something", on: { keydown: sendOnEnter } })),
    el("div", { class: "buttons" }, send, stop, clear, el("span", { class: "fine hint-keys" }, "Enter sends, Shift+Enter is a new line")),
    models,
  );
  byId("playground-body").append(parts.talk, form);
  on("providers", () => loadModels(models));
}

let listed = "";
async function loadModels(place) {
  const { data } = await ask("/v1/models").catch(() => ({ data: [] }));
  const ids = ["auto", ...data.map((model) => model.id)].slice(0, 2000);
  if (ids.join("\n") === listed) return;
  listed = ids.join("\n");
  place.replaceChildren(...ids.map((id) => el("option", { value: id })));
}

function sendOnEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}

function forget() {
  conversation.length = 0;
  parts.talk.replaceChildren();
  parts.talk.hidden = parts.clear.hidden = true;
  parts.message.focus();
}

async function submit(event) {
  event.preventDefault();
  const text = parts.message.value.trim();
  if (!text || running) return;
  running = new AbortController();
  const said = turn("user", "You");
  say(said.text, text);
  const answer = turn("assistant", parts.model.value.trim() || "auto");
  parts.message.value = "";
  parts.send.disabled = true;
  parts.stop.hidden = parts.clear.hidden = parts.talk.hidden = false;
  say(answer.facts, "Waiting …");
  const asked = [...conversation, { role: "user", content: text }];
  try {
    const words = await stream(body(asked), answer);
    conversation.push(asked.at(-1), { role: "assistant", content: words });
  } catch (error) {
    if (running.signal.aborted) say(answer.facts, `${answer.facts.textContent} · stopped`);
    else fail(answer, error);
    announce(running.signal.aborted ? "Stopped" : `Failed: ${error.message}`);
  }
  running = null;
  parts.send.disabled = false;
  parts.stop.hidden = true;
}

function fail(answer, error) {
  say(answer.facts, answer.text.textContent ? answer.facts.textContent : "");
  answer.node.append(errorBox(error));
  parts.talk.scrollTop = parts.talk.scrollHeight;
}

function body(messages) {
  const system = parts.system.value.trim();
  const number = (input) => (input.value === "" ? undefined : Number(input.value));
  return {
    model: parts.model.value.trim() || "auto",
    messages: system ? [{ role: "system", content: system }, ...messages] : messages,
    temperature: number(parts.temperature),
    max_tokens: number(parts.tokens),
  };
}

async function stream(body, answer) {
  const begun = performance.now();
  const response = await call("/api/chat", { method: "POST", body, accept: "text/event-stream", signal: running.signal });
  const [provider, route] = ["x-patchbay-provider", "x-patchbay-route"].map((name) => response.headers.get(name));
  let first = null;
  let words = "";
  for await (const { type, data } of readEvents(response.body)) {
    const event = JSON.parse(data);
    if (type === "error") throw new ApiError(response.status, event.error, event.details, event.request_id);
    if (type === "done") return finished(answer, event, route, first, performance.now() - begun), words;
    if (type !== "message" || !event.content) continue;
    first ??= performance.now() - begun;
    words += event.content;
    // Beside what is there: whoever selects some of it keeps it.
    answer.text.append(event.content);
    say(answer.facts, `${provider} · first token after ${duration(first)}`);
    parts.talk.scrollTop = parts.talk.scrollHeight;
  }
  throw new ApiError(response.status, "The answer was cut", "The host ended it before it was whole", response.headers.get("x-request-id"));
}

function finished(answer, { provider, model, usage, finish_reason: reason, cost_usd: cost }, route, first, took) {
  const facts = [
    first === null ? "no text" : `first token after ${duration(first)}`,
    `${duration(took)} in all`,
    usage && `${count(usage.prompt_tokens)} + ${plural(usage.completion_tokens, "token")}`,
    cost === null || cost === undefined ? "no known price" : money(cost),
    reason && reason !== "stop" && `ended by ${reason}`,
  ];
  say(answer.who, `${provider}/${model}`);
  say(answer.facts, facts.filter(Boolean).join(" · "));
  if (route) answer.node.append(el("p", { class: "fine route" }, `Why there: ${route}`));
  parts.talk.scrollTop = parts.talk.scrollHeight;
  announce(`Answered by ${provider}: ${answer.text.textContent}`);
}

function turn(role, who) {
  const [text, facts] = [el("p", { class: "said" }), el("p", { class: "fine facts" })];
  const title = el("h3", {}, who);
  const node = el("article", { class: `turn ${role}` }, title, text, role === "assistant" && facts);
  parts.talk.append(node);
  parts.talk.scrollTop = parts.talk.scrollHeight;
  return { node, who: title, text, facts };
}
