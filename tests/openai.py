# The official client against a host with the providers of `openai.rs`; its argument is the base URL.
import asyncio
import sys

import openai

options = dict(base_url=sys.argv[1], api_key="any", max_retries=0)
client = openai.OpenAI(**options)
hi = [{"role": "user", "content": "hi"}]


def chat(model, **more):
    return client.chat.completions.create(model=model, messages=hi, **more)


# Whole answers, and what the client does not know.
answer = chat("mock/mock-1")
assert answer.choices[0].message.content == "You said: hi", answer
answer = chat("odd", tools=[{"type": "function", "function": {"name": "f"}}], extra_body={"x_more": 1})
assert answer.choices[0].message.tool_calls[0].function.arguments == '{"a": 1}', answer
assert answer.model_extra["x_own"] == {"n": 1.5, "b": []}, answer
raw = client.chat.completions.with_raw_response.create(model="odd", messages=hi)
assert raw.headers["x-patchbay-provider"] == "up" and raw.headers["x-request-id"]

# Streams.
text = "".join(chunk.choices[0].delta.content or "" for chunk in chat("mock/mock-1", stream=True))
assert text == "You said: hi", text
chunks = list(chat("odd", stream=True, stream_options={"include_usage": True}))
assert chunks[-1].usage.total_tokens == 4 and not chunks[-1].choices, chunks
assert all(chunk.choices for chunk in chat("odd", stream=True))


async def streamed():
    async with openai.AsyncOpenAI(**options) as other:
        stream = await other.chat.completions.create(model="mock/mock-1", messages=hi, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


assert asyncio.run(streamed()) == "You said: hi"

# A cut stream.
try:
    list(chat("open/cut", stream=True))
    raise SystemExit("a cut stream went unnoticed")
except openai.APIError as error:
    assert "ended before its end" in error.message, error

# Vectors; without being told otherwise the client asks for base64.
assert len(client.embeddings.create(model="mock/mock-1", input="a", dimensions=3).data[0].embedding) == 3

# Models.
assert "up/vendor/slashed" in [model.id for model in client.models.list()]
assert client.models.retrieve("mock/mock-1").owned_by == "mock"

# Classes of errors.
for kind, model in [
    (openai.RateLimitError, "open/limits"),
    (openai.NotFoundError, "up/nosuch"),
    (openai.BadRequestError, "open/objects"),
    (openai.InternalServerError, "open/fails"),
]:
    for stream in (False, True):
        try:
            chat(model, stream=stream)
            raise SystemExit(f"{model} did not fail")
        except kind as error:
            assert error.code and error.type and error.request_id, error
