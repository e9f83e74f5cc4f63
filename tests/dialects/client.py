# OpenAI's own client, asking all rows of a table (see `mod.rs`) and comparing what it gets.
import json
import os
import sys

import openai

# Long beyond anything that a healthy host needs.
PATIENCE = 30

client = openai.OpenAI(base_url=f"{os.environ['HOST']}/v1", api_key="sk-of-the-client", max_retries=0, timeout=PATIENCE)


def got_whole(row):
    answer = client.chat.completions.create(model=row["model"], **row["asks"])
    message = answer.choices[0].message
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    thoughts = getattr(message, "reasoning_content", None)
    texts = [choice.message.content or "" for choice in answer.choices]
    return described(texts, thoughts, calls, [choice.finish_reason for choice in answer.choices], answer.usage)


def got_streamed(row):
    texts, thoughts, calls, reasons, usages = [""], "", [], [], []
    try:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        for chunk in client.chat.completions.create(model=row["model"], **row["asks"], **options):
            usages += [chunk.usage] if chunk.usage else []
            for choice in chunk.choices:
                reasons += [choice.finish_reason] if choice.finish_reason else []
                texts += [""] if choice.index == len(texts) else []
                texts[choice.index] += choice.delta.content or ""
                thoughts += getattr(choice.delta, "reasoning_content", None) or ""
                for piece in choice.delta.tool_calls or []:
                    if piece.index == len(calls):
                        calls.append((piece.id, piece.function.name, ""))
                    id, name, arguments = calls[piece.index]
                    calls[piece.index] = (id, name, arguments + (piece.function.arguments or ""))
    except openai.APIError as error:
        # One that comes in the place of an answer has a status, and is the same whichever way was asked.
        if isinstance(error, openai.APIStatusError):
            raise
        return {"text": texts[0]} | failed(error)
    assert len(usages) <= 1, usages
    return described(texts, thoughts, calls, reasons, usages[0] if usages else None)


def described(texts, thoughts, calls, reasons, usage):
    """What a row compares. Ids are made up by vendors: they have to be there, and no two may be the same."""
    ids = [id for id, _, _ in calls]
    assert all(ids) and len(set(ids)) == len(ids), calls
    assert len(reasons) == len(texts), f"every answer says once why it ended: {reasons}"
    got = {"text": texts[0], "finish_reason": reasons[0]}
    if texts[1:]:
        got["others"] = texts[1:]
    if thoughts:
        got["reasoning"] = thoughts
    if calls:
        got["calls"] = [[name, json.loads(arguments)] for _, name, arguments in calls]
    if usage:
        got["usage"] = [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens]
        for name, details, member in [
            ("cached", usage.prompt_tokens_details, "cached_tokens"),
            ("thought", usage.completion_tokens_details, "reasoning_tokens"),
        ]:
            if getattr(details, member, None):
                got[name] = getattr(details, member)
    return got


def failed(error):
    got = {"error": type(error).__name__, "says": error.message, "code": error.code}
    if isinstance(error, openai.APIStatusError):
        got |= {"status": error.status_code, "retry_after": error.response.headers.get("retry-after")}
    return got


def compared(expected, got):
    """What is expected of what was got: an answer as a whole, an error in the members that are named.

    Where a row says nothing else, an answer stops by itself, was asked in 9 tokens and has 3."""
    if "error" not in expected:
        return {"text": "", "finish_reason": "stop", "usage": [9, 3, 12]} | expected, got
    named = {name: got.get(name) for name in expected}
    if "says" in expected and expected["says"] in (named["says"] or ""):
        named["says"] = expected["says"]
    return expected, named


def problem(row):
    try:
        got = got_streamed(row) if row["stream"] else got_whole(row)
    except openai.APIStatusError as error:
        got = failed(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    expected, named = compared(row["gets"], got)
    return None if expected == named else f"\n  expected {expected}\n  got      {got}"


with open(sys.argv[1]) as file:
    rows = json.load(file)
assert rows
problems = [f"{row['model']}: {wrong}" for row in rows if (wrong := problem(row))]
sys.exit("\n".join([f"{len(problems)} of {len(rows)} rows:", *problems]) if problems else 0)
