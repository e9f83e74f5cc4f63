# OpenAI's own client on an event loop: what is different there, many at once, and cancelling.
import asyncio

import openai
from pydantic import BaseModel

from stage import HI, HOST, PATIENCE, WEATHER_PARAMETERS
from stage import case, left, raises_async, release, run, under_way, upstream_has_open

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": WEATHER_PARAMETERS}}


class Weather(BaseModel):
    city: str
    degrees: int


def connect():
    options = {"api_key": "sk-of-the-client", "max_retries": 0, "timeout": PATIENCE}
    return openai.AsyncOpenAI(base_url=f"{HOST}/v1", **options)


async def whole(client, model):
    answer = await client.chat.completions.create(model=model, messages=HI)
    return answer.choices[0].message.content


async def streamed(client, model):
    stream = await client.chat.completions.create(model=model, messages=HI, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


@case
async def whole_answers_and_streams():
    async with connect() as client:
        for ask in (whole, streamed):
            assert await ask(client, "mock/mock-1") == "You said: hi"
            assert await ask(client, "open/any") == "a b c"


@case
async def many_at_once():
    async with connect() as client:
        texts = await asyncio.gather(*(streamed(client, "open/gated") for _ in range(8)), all_wait())
        assert texts[:8] == ["a b c"] * 8, texts


async def all_wait():
    # Were they served one after the other, they would never all be open.
    await asyncio.to_thread(upstream_has_open, 8)
    await asyncio.to_thread(release, 8 * 6)


@case
async def parallel_tool_calls_streamed():
    async with connect() as client:
        async with client.chat.completions.stream(model="open/tools", messages=HI, tools=[WEATHER]) as stream:
            answer = await stream.get_final_completion()
    functions = [call.function for call in answer.choices[0].message.tool_calls]
    assert [it.arguments for it in functions] == ['{"city": "Oslo"}', '{"city": "Rome"}'], answer


@case
async def structured_output():
    async with connect() as client:
        request = {"model": "open/structured", "messages": HI, "response_format": Weather}
        answer = await client.chat.completions.parse(**request)
        assert answer.choices[0].message.parsed == Weather(city="Oslo", degrees=4), answer


@case
async def vectors_and_models():
    async with connect() as client:
        vectors = await client.embeddings.create(model="open/vectors", input=["a", "b"])
        assert [it.embedding for it in vectors.data] == [[0.5, -1.0], [0.25, 2.0]], vectors
        assert "up/vendor/slashed" in [model.id async for model in client.models.list()]


@case
async def errors_have_their_classes():
    async with connect() as client:
        for ask in (whole, streamed):
            await raises_async(openai.RateLimitError, ask(client, "limits/limits"))
            await raises_async(openai.InternalServerError, ask(client, "fails/fails"))
        await raises_async(openai.APIError, streamed(client, "open/cut"))


@case
async def who_waits_no_longer_is_gone():
    async with connect() as client:
        hasty = client.with_options(timeout=1)
        for ask in (whole, streamed):
            await raises_async(openai.APITimeoutError, ask(hasty, "open/silent"))
            await asyncio.to_thread(left)


@case
async def what_is_cancelled_is_cancelled_upstream():
    async with connect() as client:
        for ask, model in [(whole, "open/silent"), (streamed, "open/silent"), (streamed, "open/gated")]:
            task = asyncio.create_task(ask(client, model))
            await asyncio.to_thread(under_way)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await asyncio.to_thread(left)


@case
async def a_stream_that_is_closed_is_closed_upstream():
    async with connect() as client:
        await asyncio.to_thread(release, 1)
        stream = await client.chat.completions.create(model="open/gated", messages=HI, stream=True)
        assert (await anext(stream)).choices[0].delta.content == "a"
        await asyncio.to_thread(under_way)
        await stream.close()
        await asyncio.to_thread(left)


run()
