# OpenAI's own client, waiting for its answers. The providers are those of `../openai.rs`.
import json

import openai
from pydantic import BaseModel

from stage import GUARDED, HI, HOST, PATIENCE, TOKEN, WEATHER_PARAMETERS
from stage import asked, case, left, raises, release, run, seen, under_way

OPTIONS = {"api_key": "sk-of-the-client", "max_retries": 0, "timeout": PATIENCE}
client = openai.OpenAI(base_url=f"{HOST}/v1", **OPTIONS)
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": WEATHER_PARAMETERS}}
CALLS = [("call-1", "weather", '{"city": "Oslo"}'), ("call-2", "weather", '{"city": "Rome"}')]


class Weather(BaseModel):
    city: str
    degrees: int


def chat(model, messages=HI, **more):
    return client.chat.completions.create(model=model, messages=messages, **more)


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def calls(message):
    return [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls]


@case
def whole_answers():
    answer = chat("mock/mock-1")
    assert answer.choices[0].message.content == "You said: hi", answer
    answer = chat("open/any", temperature=0.25, seed=7, extra_body={"x_more": {"a": [None]}})
    assert answer.choices[0].message.content == "a b c" and answer.usage.total_tokens == 4, answer
    assert answer.model_extra["x_own"] == {"kept": True}, answer
    sent = {"messages": HI, "model": "any", "temperature": 0.25, "seed": 7, "x_more": {"a": [None]}}
    assert asked() == sent, asked()


@case
def headers_tell_who_answered():
    raw = client.chat.completions.with_raw_response.create(model="odd", messages=HI)
    assert raw.headers["x-patchbay-provider"] == "up" and raw.headers["x-request-id"]
    assert raw.parse()._request_id == raw.headers["x-request-id"]


@case
def streams():
    for model, expected in (("mock/mock-1", "You said: hi"), ("open/any", "a b c")):
        chunks = list(chat(model, stream=True))
        assert text(chunks) == expected, chunks
        # Some clients make nothing of words that are nobody's.
        assert chunks[0].choices[0].delta.role == "assistant", chunks
        assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop", chunks
    with client.chat.completions.stream(model="open/any", messages=HI) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        assert pieces == ["a", " b", " c"], pieces
        assert stream.get_final_completion().choices[0].finish_reason == "stop"


@case
def token_counts_come_to_who_asks_for_them():
    chunks = list(chat("odd", stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.total_tokens == 4 and not chunks[-1].choices, chunks
    for options in ({}, {"stream_options": {"include_usage": False}}):
        assert all(chunk.choices and not chunk.usage for chunk in chat("odd", stream=True, **options))


@case
def a_cut_stream_is_an_error():
    chunks = chat("open/cut", stream=True)
    error = raises(openai.APIError, lambda: list(chunks))
    assert type(error) is openai.APIError and "ended before its end" in error.message, error
    assert error.code == "broken_stream", error


@case
def parallel_tool_calls():
    answer = chat("open/tools", tools=[WEATHER], tool_choice="required", parallel_tool_calls=True)
    assert asked()["tools"] == [WEATHER], asked()
    assert (asked()["tool_choice"], asked()["parallel_tool_calls"]) == ("required", True), asked()
    assert calls(answer.choices[0].message) == CALLS, answer
    assert answer.choices[0].finish_reason == "tool_calls", answer

    degrees = {"call-1": "4", "call-2": "18"}
    results = [{"role": "tool", "tool_call_id": id, "content": it} for id, it in degrees.items()]
    messages = [*HI, answer.choices[0].message.model_dump(exclude_none=True), *results]
    answer = chat("open/tools", messages, tools=[WEATHER])
    sent = asked()["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool"], sent
    assert [call["id"] for call in sent[1]["tool_calls"]] == ["call-1", "call-2"], sent
    assert answer.choices[0].message.content == "call-1=4 call-2=18", answer
    assert text(chat("open/tools", messages, tools=[WEATHER], stream=True)) == "call-1=4 call-2=18"


@case
def parallel_tool_calls_streamed():
    chunks = chat("open/tools", tools=[WEATHER], stream=True)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    pieces = [piece.index for delta in deltas for piece in delta.tool_calls or []]
    assert pieces == [0, 0, 1, 0, 1, 1], "as upstream sent them"
    with client.chat.completions.stream(model="open/tools", messages=HI, tools=[WEATHER]) as stream:
        answer = stream.get_final_completion()
    assert calls(answer.choices[0].message) == CALLS, answer
    assert answer.choices[0].finish_reason == "tool_calls", answer


@case
def structured_output():
    request = {"model": "open/structured", "messages": HI, "response_format": Weather}
    answer = client.chat.completions.parse(**request)
    assert answer.choices[0].message.parsed == Weather(city="Oslo", degrees=4), answer
    schema = asked()["response_format"]["json_schema"]
    assert (schema["name"], schema["strict"]) == ("Weather", True), schema
    assert schema["schema"]["required"] == ["city", "degrees"], schema
    with client.chat.completions.stream(**request) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert parsed == Weather(city="Oslo", degrees=4), parsed

    by_hand = {"type": "json_schema", "json_schema": {"name": "w", "schema": {"type": "object"}}}
    answer = chat("open/structured", response_format=by_hand)
    assert asked()["response_format"] == by_hand, asked()
    assert json.loads(answer.choices[0].message.content) == {"city": "Oslo", "degrees": 4}, answer


@case
def vectors():
    def embed(input, model="open/vectors", **more):
        return client.embeddings.create(model=model, input=input, **more)

    two = embed(["a", "b"], encoding_format="float")
    assert [it.embedding for it in two.data] == [[0.5, -1.0], [0.25, 2.0]], two
    assert two.usage.total_tokens == 2, two
    assert asked() == {"model": "vectors", "input": ["a", "b"], "encoding_format": "float"}, asked()
    base64 = embed("a", encoding_format="base64")
    assert base64.data[0].embedding == "AAAAPwAAgL8=", base64
    # Without being told otherwise the client asks for base64, and makes numbers of it.
    assert embed([1, 2]).data[0].embedding == [0.5, -1.0]
    assert asked() == {"model": "vectors", "input": [1, 2], "encoding_format": "base64"}, asked()
    # Of numbers the SDK for plugins makes what was asked for.
    floats, decoded, base64 = (
        embed("a", "mock/mock-1", dimensions=3, **format).data[0].embedding
        for format in ({"encoding_format": "float"}, {}, {"encoding_format": "base64"})
    )
    assert len(floats) == 3 and all(abs(a - b) < 1e-6 for a, b in zip(floats, decoded)), (floats, decoded)
    assert isinstance(base64, str), base64


@case
def texts():
    def complete(model, prompt="hi", **more):
        return client.completions.create(model=model, prompt=prompt, **more)

    # Passed on, and made of chat.
    for model, expected in (("open/any", "a b c"), ("mock/mock-1", "You said: hi")):
        answer = complete(model)
        assert (answer.object, answer.choices[0].text) == ("text_completion", expected), answer
        assert answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens == 4, answer
        chunks = list(complete(model, stream=True, stream_options={"include_usage": True}))
        assert "".join(it.text for chunk in chunks for it in chunk.choices) == expected, chunks
        assert chunks[-1].usage.total_tokens == 4 and not chunks[-1].choices, chunks
        assert all(chunk.choices and not chunk.usage for chunk in complete(model, stream=True))
    sent = {"model": "any", "prompt": ["a", "b"], "suffix": "s", "echo": True}
    assert len(complete("open/any", sent["prompt"], suffix="s", echo=True).choices) == 2
    assert asked() == sent, asked()

    for prompt, param, more in ((["a", "b"], "prompt", {}), ("a", "echo", {"echo": True})):
        error = raises(openai.BadRequestError, lambda: complete("mock/mock-1", prompt, **more))
        assert (error.code, error.param) == ("invalid_field", param), error
    cut = complete("open/cut", stream=True)
    assert raises(openai.APIError, lambda: list(cut)).code == "broken_stream"
    raises(openai.NotFoundError, lambda: complete("up/nosuch"))


@case
def pictures():
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
    ]
    messages = [{"role": "system", "content": "short"}, {"role": "user", "content": parts}]
    assert chat("open/any", messages).choices[0].message.content == "a b c"
    assert asked()["messages"] == messages, asked()


@case
def several_choices_with_their_logprobs():
    options = {"n": 3, "logprobs": True, "top_logprobs": 1}
    answer = chat("open/many", **options)
    assert {name: asked()[name] for name in options} == options, asked()
    assert [it.message.content for it in answer.choices] == ["choice 0", "choice 1", "choice 2"], answer
    token = answer.choices[2].logprobs.content[0]
    assert (token.logprob, token.bytes, token.top_logprobs[0].token) == (-0.25, [99], "other"), answer

    texts = ["", "", ""]
    for chunk in chat("open/many", stream=True, **options):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            assert choice.finish_reason or choice.logprobs.content[0].logprob == -0.25, chunk
    assert texts == ["choice 0", "choice 1", "choice 2"], texts


@case
def reasoning():
    answer = chat("open/thinks", reasoning_effort="high", extra_body={"reasoning": {"max_tokens": 9}})
    assert (asked()["reasoning_effort"], asked()["reasoning"]) == ("high", {"max_tokens": 9}), asked()
    message = answer.choices[0].message
    assert (message.reasoning_content, message.reasoning) == ("two and two", "2 + 2"), answer
    assert answer.usage.completion_tokens_details.reasoning_tokens == 2, answer
    chunks = list(chat("open/thinks", stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    thoughts = [getattr(delta, "reasoning_content", None) or "" for delta in deltas]
    assert "".join(thoughts) == "two and two", deltas
    assert (deltas[1].reasoning, deltas[2].content) == ("2 + 2", "four"), deltas
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens == 2, chunks


@case
def models():
    listed = {model.id for model in client.models.list()}
    assert {"up/vendor/slashed", "vendor/slashed", "mock/mock-1"} <= listed, listed
    assert client.models.retrieve("mock/mock-1").owned_by == "mock"
    assert client.models.retrieve("up/vendor/slashed").id == "up/vendor/slashed"
    error = raises(openai.NotFoundError, lambda: client.models.retrieve("up/nosuch"))
    assert error.code == "model_not_found", error


@case
def errors_have_their_classes():
    for kind, status, model in [
        (openai.RateLimitError, 429, "limits/limits"),
        (openai.NotFoundError, 404, "up/nosuch"),
        (openai.NotFoundError, 404, "open/only-says-404"),
        (openai.BadRequestError, 400, "open/objects"),
        (openai.UnprocessableEntityError, 422, "open/says-422"),
        (openai.InternalServerError, 502, "fails/fails"),
        # The operator's key is the wrong one; it is nothing that the client could mend.
        (openai.InternalServerError, 502, "refuses/refuses"),
    ]:
        for stream in (False, True):
            error = raises(kind, lambda: chat(model, stream=stream))
            assert error.status_code == status and error.code and error.type and error.request_id, error
            assert (error.response.headers.get("retry-after") == "7") == (status == 429), error
    error = raises(openai.BadRequestError, lambda: chat("open/says-400"))
    assert (error.code, error.param) == ("context_length_exceeded", "its.param[0]"), error
    error = raises(openai.BadRequestError, lambda: chat("odd", messages="hi"))
    assert error.code == "invalid_messages", error


@case
def a_wrong_key_is_an_authentication_error():
    before = len(seen())
    stranger = openai.OpenAI(base_url=f"{GUARDED}/v1", **OPTIONS)
    for stream in (False, True):
        ask = lambda: stranger.chat.completions.create(model="open/any", messages=HI, stream=stream)
        error = raises(openai.AuthenticationError, ask)
        assert (error.status_code, error.code) == (401, "invalid_api_key"), error
    raises(openai.AuthenticationError, stranger.models.list)
    assert len(seen()) == before, "upstream is not asked for strangers"
    known = stranger.with_options(api_key=TOKEN)
    answer = known.chat.completions.create(model="open/any", messages=HI)
    assert answer.choices[0].message.content == "a b c", answer


@case
def who_waits_no_longer_is_gone():
    for stream in (False, True):
        before = len(seen())
        hasty = client.with_options(timeout=1)
        ask = lambda: hasty.chat.completions.create(model="open/silent", messages=HI, stream=stream)
        raises(openai.APITimeoutError, ask)
        assert [body["model"] for body in seen()[before:]] == ["silent"], seen()
        left()


@case
def a_stream_that_is_closed_is_closed_upstream():
    for close in (lambda stream: stream.close(), lambda stream: stream.response.close()):
        release(1)
        stream = chat("open/gated", stream=True)
        assert next(stream).choices[0].delta.content == "a"
        under_way()
        close(stream)
        left()
    release(1)
    with chat("open/gated", stream=True) as stream:
        for chunk in stream:
            under_way()
            break
    left()


run()
