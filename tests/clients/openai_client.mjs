// OpenAI's own client for Node. The providers are those of `../openai.rs`.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

import { GUARDED, HOST, PATIENCE, TOKEN } from "./stage.mjs";
import { asked, left, raises, release, run, seen, underWay } from "./stage.mjs";

// What is imported is looked for beside this file only.
const installed = createRequire(`${process.env.NODE_MODULES}/`);
const openai = installed("openai");
const { OpenAI } = openai;
const { zodResponseFormat } = installed("openai/helpers/zod");
const { z } = installed("zod");

const hi = [{ role: "user", content: "hi" }];
const options = { apiKey: "sk-of-the-client", maxRetries: 0, timeout: PATIENCE };
const client = new OpenAI({ baseURL: `${HOST}/v1`, ...options });
const chat = (model, more = {}, options = {}) =>
  client.chat.completions.create({ model, messages: hi, ...more }, options);

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { type: "function", function: { name: "weather", parameters: schema } };
const calls = [
  ["call-1", "weather", '{"city": "Oslo"}'],
  ["call-2", "weather", '{"city": "Rome"}'],
];
const callsIn = (answer) =>
  answer.choices[0].message.tool_calls.map((it) => [it.id, it.function.name, it.function.arguments]);

async function all(chunks) {
  const list = [];
  for await (const chunk of chunks) list.push(chunk);
  return list;
}

const text = async (chunks) =>
  (await all(chunks)).map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

await run({
  async wholeAnswers() {
    assert.equal((await chat("mock/mock-1")).choices[0].message.content, "You said: hi");
    const asking = chat("open/any", { seed: 7, x_more: { a: [null] } });
    const { data, response, request_id } = await asking.withResponse();
    assert.equal(data.choices[0].message.content, "a b c");
    assert.deepEqual(data.x_own, { kept: true });
    assert.equal(response.headers.get("x-patchbay-provider"), "open");
    assert.ok(request_id);
    assert.deepEqual(await asked(), { model: "any", messages: hi, seed: 7, x_more: { a: [null] } });
  },

  async streams() {
    assert.equal(await text(await chat("mock/mock-1", { stream: true })), "You said: hi");
    assert.equal(await text(await chat("open/any", { stream: true })), "a b c");
    const stream = client.chat.completions.stream({ model: "open/any", messages: hi });
    const pieces = [];
    stream.on("content", (piece) => pieces.push(piece));
    assert.equal(await stream.finalContent(), "a b c");
    assert.deepEqual(pieces, ["a", " b", " c"]);
  },

  async tokenCountsComeToWhoAsksForThem() {
    const options = { stream: true, stream_options: { include_usage: true } };
    const last = (await all(await chat("odd", options))).at(-1);
    assert.equal(last.usage.total_tokens, 4);
    assert.equal(last.choices.length, 0);
    for (const chunk of await all(await chat("odd", { stream: true }))) {
      assert.ok(chunk.choices.length && !chunk.usage, JSON.stringify(chunk));
    }
  },

  async aCutStreamIsAnError() {
    const stream = await chat("open/cut", { stream: true });
    const error = await raises(openai.APIError, () => all(stream));
    assert.match(error.message, /ended before its end/);
    assert.equal(error.code, "broken_stream");
  },

  async parallelToolCalls() {
    const answer = await chat("open/tools", { tools: [weather], parallel_tool_calls: true });
    assert.deepEqual((await asked()).tools, [weather]);
    assert.equal((await asked()).parallel_tool_calls, true);
    assert.deepEqual(callsIn(answer), calls);
    const stream = client.chat.completions.stream({ model: "open/tools", messages: hi, tools: [weather] });
    assert.deepEqual(callsIn(await stream.finalChatCompletion()), calls);
  },

  async toolsAreRunAndAnswered() {
    const degrees = { Oslo: "4", Rome: "18" };
    const called = { ...weather.function, parse: JSON.parse, function: ({ city }) => degrees[city] };
    const tools = [{ type: "function", function: called }];
    for (const stream of [false, true]) {
      const runner = client.chat.completions.runTools({ model: "open/tools", messages: hi, tools, stream });
      assert.equal(await runner.finalContent(), "call-1=4 call-2=18");
      const roles = (await asked()).messages.map((message) => message.role);
      assert.deepEqual(roles, ["user", "assistant", "tool", "tool"]);
    }
  },

  async structuredOutput() {
    const Weather = z.object({ city: z.string(), degrees: z.number() });
    const response_format = zodResponseFormat(Weather, "weather");
    const request = { model: "open/structured", messages: hi, response_format };
    const answer = await client.chat.completions.parse(request);
    assert.deepEqual(answer.choices[0].message.parsed, { city: "Oslo", degrees: 4 });
    const { type, json_schema } = (await asked()).response_format;
    assert.deepEqual([type, json_schema.name, json_schema.strict], ["json_schema", "weather", true]);
    assert.deepEqual(json_schema.schema.required, ["city", "degrees"]);
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.parsed, { city: "Oslo", degrees: 4 });
  },

  async vectors() {
    const embed = (input, more = {}) => client.embeddings.create({ model: "open/vectors", input, ...more });
    const two = await embed(["a", "b"], { encoding_format: "float" });
    assert.deepEqual(two.data.map((it) => it.embedding), [[0.5, -1], [0.25, 2]]);
    assert.deepEqual(await asked(), { model: "vectors", input: ["a", "b"], encoding_format: "float" });
    assert.equal((await embed("a", { encoding_format: "base64" })).data[0].embedding, "AAAAPwAAgL8=");
    // Without being told otherwise the client asks for base64, and makes numbers of it.
    assert.deepEqual([...(await embed("a")).data[0].embedding], [0.5, -1]);
    assert.equal((await asked()).encoding_format, "base64");
    // Of numbers the SDK for plugins makes base64, which is all that this client can read.
    const mock = { model: "mock/mock-1", dimensions: 3 };
    const decoded = (await embed("a", mock)).data[0].embedding;
    const numbers = (await embed("a", { ...mock, encoding_format: "float" })).data[0].embedding;
    assert.equal(decoded.length, 3);
    const apart = numbers.map((number, at) => Math.abs(number - decoded[at]));
    assert.ok(Math.max(...apart) < 1e-6, `${numbers} ${decoded}`);
  },

  async texts() {
    const complete = (model, more = {}) => client.completions.create({ model, prompt: "hi", ...more });
    // Passed on, and made of chat.
    for (const [model, expected] of [["open/any", "a b c"], ["mock/mock-1", "You said: hi"]]) {
      const answer = await complete(model);
      assert.deepEqual([answer.object, answer.choices[0].text], ["text_completion", expected]);
      const options = { stream: true, stream_options: { include_usage: true } };
      const chunks = await all(await complete(model, options));
      assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), expected);
      assert.equal(chunks.at(-1).usage.total_tokens, 4);
    }
    const refused = () => complete("mock/mock-1", { prompt: ["a", "b"] });
    const error = await raises(openai.BadRequestError, refused);
    assert.deepEqual([error.code, error.param], ["invalid_field", "prompt"]);
    const cut = await complete("open/cut", { stream: true });
    assert.equal((await raises(openai.APIError, () => all(cut))).code, "broken_stream");
  },

  async pictures() {
    const image_url = { url: "data:image/png;base64,iVBORw0KGgo=", detail: "low" };
    const content = [{ type: "text", text: "what is this?" }, { type: "image_url", image_url }];
    const messages = [{ role: "user", content }];
    assert.equal((await chat("open/any", { messages })).choices[0].message.content, "a b c");
    assert.deepEqual((await asked()).messages, messages);
  },

  async severalChoicesWithTheirLogprobs() {
    const options = { n: 2, logprobs: true, top_logprobs: 1 };
    const answer = await chat("open/many", options);
    assert.deepEqual(answer.choices.map((it) => it.message.content), ["choice 0", "choice 1"]);
    assert.equal(answer.choices[1].logprobs.content[0].top_logprobs[0].token, "other");
    const streamed = await client.chat.completions
      .stream({ model: "open/many", messages: hi, ...options })
      .finalChatCompletion();
    assert.deepEqual(streamed.choices.map((it) => it.message.content), ["choice 0", "choice 1"]);
    assert.equal(streamed.choices[1].logprobs.content[0].logprob, -0.25);
  },

  async reasoning() {
    const answer = await chat("open/thinks", { reasoning_effort: "high" });
    assert.equal((await asked()).reasoning_effort, "high");
    assert.equal(answer.choices[0].message.reasoning_content, "two and two");
    assert.equal(answer.usage.completion_tokens_details.reasoning_tokens, 2);
    const chunks = await all(await chat("open/thinks", { stream: true }));
    const deltas = chunks.map((chunk) => chunk.choices[0].delta);
    assert.equal(deltas.map((delta) => delta.reasoning_content ?? "").join(""), "two and two");
    assert.equal(deltas[1].reasoning, "2 + 2");
  },

  async models() {
    const ids = (await all(await client.models.list())).map((model) => model.id);
    assert.ok(ids.includes("up/vendor/slashed") && ids.includes("mock/mock-1"), ids.join());
    assert.equal((await client.models.retrieve("up/vendor/slashed")).id, "up/vendor/slashed");
    const error = await raises(openai.NotFoundError, () => client.models.retrieve("up/nosuch"));
    assert.equal(error.code, "model_not_found");
  },

  async errorsHaveTheirClasses() {
    for (const [kind, status, model] of [
      [openai.RateLimitError, 429, "limits/limits"],
      [openai.NotFoundError, 404, "up/nosuch"],
      [openai.NotFoundError, 404, "open/only-says-404"],
      [openai.BadRequestError, 400, "open/objects"],
      [openai.UnprocessableEntityError, 422, "open/says-422"],
      [openai.InternalServerError, 502, "fails/fails"],
    ]) {
      for (const stream of [false, true]) {
        const error = await raises(kind, () => chat(model, { stream }));
        assert.equal(error.status, status);
        assert.ok(error.code && error.type && error.requestID, error.message);
      }
    }
    const error = await raises(openai.BadRequestError, () => chat("open/says-400"));
    assert.deepEqual([error.code, error.param], ["context_length_exceeded", "its.param[0]"]);
  },

  async aWrongKeyIsAnAuthenticationError() {
    const before = (await seen()).length;
    const stranger = new OpenAI({ baseURL: `${GUARDED}/v1`, ...options });
    const ask = (who) => who.chat.completions.create({ model: "open/any", messages: hi });
    const error = await raises(openai.AuthenticationError, () => ask(stranger));
    assert.deepEqual([error.status, error.code], [401, "invalid_api_key"]);
    assert.equal((await seen()).length, before, "upstream is not asked for strangers");
    const known = stranger.withOptions({ apiKey: TOKEN });
    assert.equal((await ask(known)).choices[0].message.content, "a b c");
  },

  async whoWaitsNoLongerIsGone() {
    for (const stream of [false, true]) {
      const before = (await seen()).length;
      const ask = () => chat("open/silent", { stream }, { timeout: 1000 });
      await raises(openai.APIConnectionTimeoutError, ask);
      assert.deepEqual((await seen()).slice(before).map((body) => body.model), ["silent"]);
      await left();
    }
  },

  async whatIsAbortedIsAbortedUpstream() {
    for (const [model, stream] of [["open/silent", false], ["open/silent", true], ["open/gated", true]]) {
      const controller = new AbortController();
      const ask = () => chat(model, { stream }, { signal: controller.signal });
      const aborted = raises(openai.APIUserAbortError, ask);
      try {
        await underWay();
      } finally {
        controller.abort();
        await aborted;
      }
      await left();
    }
  },

  async aStreamThatIsLeftIsClosedUpstream() {
    // The second one is left by nothing but the end of the loop.
    for (const leave of [(stream) => stream.controller.abort(), () => {}]) {
      await release(1);
      const stream = await chat("open/gated", { stream: true });
      for await (const chunk of stream) {
        assert.equal(chunk.choices[0].delta.content, "a");
        await underWay();
        leave(stream);
        break;
      }
      await left();
    }
  },
});
