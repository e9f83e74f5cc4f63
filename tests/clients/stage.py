# What the scripts beside this one share: where everything is, what upstream saw, and how cases are run.
import asyncio
import inspect
import json
import os
import sys
import time
import traceback
import urllib.request

HOST, GUARDED, UPSTREAM = (os.environ[name] for name in ("HOST", "GUARDED", "UPSTREAM"))
# Opens the guarded host.
TOKEN = os.environ["TOKEN"]

# Long beyond anything that a healthy host needs.
PATIENCE = 30

HI = [{"role": "user", "content": "hi"}]
WEATHER_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def get(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=PATIENCE) as answer:
        return json.load(answer)


def seen():
    """The bodies that upstream was sent so far."""
    return get(f"{UPSTREAM}/seen")


def asked():
    """The last of them."""
    return seen()[-1]


def release(chunks):
    """Lets so many chunks of `gated` streams go."""
    get(f"{UPSTREAM}/release/{chunks}", "POST")


def upstream_has_open(streams):
    """Waits until so many streams of upstream's are read by somebody."""
    get(f"{UPSTREAM}/open/{streams}")


def in_flight():
    return sum(provider["in_flight"] for provider in get(f"{HOST}/api/providers")["providers"])


def under_way():
    """Waits until one request is: without it, `left` would prove nothing."""
    upstream_has_open(1)
    assert in_flight() == 1, in_flight()


def left():
    """Waits until upstream was left alone, and the host has nothing in flight."""
    upstream_has_open(0)
    begun = time.monotonic()
    while in_flight():
        assert time.monotonic() - begun < PATIENCE, "a request that was given up is still in flight"
        time.sleep(0.01)


def raises(kind, act):
    """The error of that class; any other one fails the case."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"not raised: {kind.__name__}")


async def raises_async(kind, awaitable):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"not raised: {kind.__name__}")


_cases = []


def case(function):
    _cases.append(function)
    return function


def run():
    """Runs every case, also after one that fails."""
    failed = []
    # One loop for all: connections that a client keeps are of the loop they were made on.
    loop = asyncio.new_event_loop()
    for function in _cases:
        try:
            loop.run_until_complete(function()) if inspect.iscoroutinefunction(function) else function()
        except Exception:
            failed.append(function.__name__)
            traceback.print_exc()
    assert _cases
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
