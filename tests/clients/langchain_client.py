# LangChain's ChatOpenAI and OpenAIEmbeddings. The providers are those of `../openai.rs`.
import asyncio

import openai
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from stage import GUARDED, HOST, PATIENCE
from stage import asked, case, left, raises, release, run, under_way

OPTIONS = {"api_key": "sk-of-the-client", "max_retries": 0, "timeout": PATIENCE}
TOKENS = {"input_tokens": 1, "output_tokens": 3, "total_tokens": 4}


class Weather(BaseModel):
    """How it is there."""

    city: str
    degrees: int


@tool
def weather(city: str) -> str:
    """Looks out of a window."""
    return {"Oslo": "4", "Rome": "18"}[city]


def model(name, base_url=f"{HOST}/v1", **more):
    return ChatOpenAI(model=name, base_url=base_url, **{**OPTIONS, **more})


def counted(message):
    return {name: message.usage_metadata[name] for name in TOKENS}


def whole(chunks):
    total, *rest = chunks
    for chunk in rest:
        total += chunk
    return total


@case
def whole_answers():
    answer = model("open/any", temperature=0.25).invoke([SystemMessage("be brief"), HumanMessage("hi")])
    assert (answer.content, counted(answer)) == ("a b c", TOKENS), answer
    assert (asked()["model"], asked()["temperature"]) == ("any", 0.25), asked()
    roles = [(message["role"], message["content"]) for message in asked()["messages"]]
    assert roles == [("system", "be brief"), ("user", "hi")], asked()
    assert model("mock/mock-1").invoke("hi").content == "You said: hi"


@case
async def whole_answers_async():
    answer = await model("open/any").ainvoke("hi")
    assert (answer.content, counted(answer)) == ("a b c", TOKENS), answer
    assert [it.content for it in await model("open/any").abatch(["one", "two"])] == ["a b c"] * 2


@case
def streams():
    chunks = list(model("open/any", stream_usage=True).stream("hi"))
    assert [chunk.content for chunk in chunks if chunk.content] == ["a", " b", " c"], chunks
    assert counted(whole(chunks)) == TOKENS, chunks
    assert asked()["stream"] is True, asked()
    assert whole(model("mock/mock-1").stream("hi")).content == "You said: hi"


@case
async def streams_async():
    chunks = [chunk async for chunk in model("open/any", stream_usage=True).astream("hi")]
    assert (whole(chunks).content, counted(whole(chunks))) == ("a b c", TOKENS), chunks
    without = [chunk async for chunk in model("open/any", stream_usage=False).astream("hi")]
    assert whole(without).usage_metadata is None, without


@case
def tools():
    bound = model("open/tools").bind_tools([weather])
    asking = HumanMessage("how warm is it?")
    whole_call, streamed_call = bound.invoke([asking]), whole(bound.stream([asking]))
    assert asked()["tools"][0]["function"]["name"] == "weather", asked()
    for call in (whole_call, streamed_call):
        told = [(it["id"], it["name"], it["args"]["city"]) for it in call.tool_calls]
        assert told == [("call-1", "weather", "Oslo"), ("call-2", "weather", "Rome")], call
        results = [weather.invoke(it) for it in call.tool_calls]
        assert all(isinstance(result, ToolMessage) for result in results), results
        answer = bound.invoke([asking, AIMessage(call.content, tool_calls=call.tool_calls), *results])
        assert answer.content == "call-1=4 call-2=18", answer
        sent = [call["function"]["name"] for call in asked()["messages"][1]["tool_calls"]]
        assert sent == ["weather", "weather"], asked()


@case
async def structured_output():
    bound = model("open/structured").with_structured_output(Weather)
    assert bound.invoke("hi") == Weather(city="Oslo", degrees=4)
    format = asked()["response_format"]
    assert (format["type"], format["json_schema"]["name"]) == ("json_schema", "Weather"), format
    assert format["json_schema"]["schema"]["required"] == ["city", "degrees"], format
    assert await bound.ainvoke("hi") == Weather(city="Oslo", degrees=4)
    *_, last = bound.stream("hi")
    assert last == Weather(city="Oslo", degrees=4), last


@case
def reasoning_is_counted():
    answer = model("open/thinks", reasoning_effort="high").invoke("hi")
    assert (answer.content, asked()["reasoning_effort"]) == ("four", "high"), answer
    assert answer.usage_metadata["output_token_details"]["reasoning"] == 2, answer


@case
def pictures():
    url = {"url": "data:image/png;base64,iVBORw0KGgo="}
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": url}]
    assert model("open/any").invoke([HumanMessage(parts)]).content == "a b c"
    assert asked()["messages"] == [{"role": "user", "content": parts}], asked()


@case
async def vectors():
    # Counting tokens would need a table from the internet.
    options = {**OPTIONS, "base_url": f"{HOST}/v1", "check_embedding_ctx_length": False}
    embeddings = OpenAIEmbeddings(model="open/vectors", **options)
    assert embeddings.embed_documents(["a", "b"]) == [[0.5, -1.0], [0.25, 2.0]]
    assert (asked()["model"], asked()["input"]) == ("vectors", ["a", "b"]), asked()
    assert embeddings.embed_query("a") == [0.5, -1.0]
    assert await embeddings.aembed_documents(["a", "b"]) == [[0.5, -1.0], [0.25, 2.0]]


@case
def texts():
    def text_model(name, **more):
        return OpenAI(model=name, base_url=f"{HOST}/v1", **{**OPTIONS, **more})

    # Passed on, and made of chat.
    for name, expected in (("open/any", "a b c"), ("mock/mock-1", "You said: hi")):
        assert text_model(name, temperature=0.25, max_tokens=9).invoke("hi") == expected
        assert "".join(text_model(name).stream("hi")) == expected
    # It sends several at once, which only some can answer.
    assert text_model("open/any").batch(["one", "two"]) == ["a b c"] * 2
    assert asked()["prompt"] == ["one", "two"], asked()
    raises(openai.BadRequestError, lambda: text_model("mock/mock-1").batch(["one", "two"]))


@case
def errors_have_the_clients_classes():
    for kind, name in [
        (openai.RateLimitError, "limits/limits"),
        (openai.NotFoundError, "up/nosuch"),
        (openai.NotFoundError, "open/only-says-404"),
        (openai.BadRequestError, "open/objects"),
        (openai.InternalServerError, "fails/fails"),
    ]:
        for ask in (lambda it: it.invoke("hi"), lambda it: list(it.stream("hi"))):
            raises(kind, lambda: ask(model(name)))
    for ask in (lambda it: it.invoke("hi"), lambda it: list(it.stream("hi"))):
        raises(ContextOverflowError, lambda: ask(model("open/says-400")))
    raises(openai.AuthenticationError, lambda: model("open/any", f"{GUARDED}/v1").invoke("hi"))
    raises(openai.APIError, lambda: list(model("open/cut").stream("hi")))


@case
def who_waits_no_longer_is_gone():
    raises(openai.APITimeoutError, lambda: model("open/silent", timeout=1).invoke("hi"))
    left()


@case
def a_stream_that_is_closed_is_closed_upstream():
    release(1)
    stream = model("open/gated").stream("hi")
    assert next(chunk.content for chunk in stream if chunk.content) == "a"
    under_way()
    stream.close()
    left()


@case
async def an_asynchronous_stream_that_is_closed_is_closed_upstream():
    await asyncio.to_thread(release, 1)
    stream = model("open/gated").astream("hi")
    assert (await anext(stream)).content == "a"
    await asyncio.to_thread(under_way)
    await stream.aclose()
    await asyncio.to_thread(left)


run()
