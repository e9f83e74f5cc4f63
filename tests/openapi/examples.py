"""Every schema of the document is one, and every example is as its schema says."""

import json
import sys
import urllib.request

import jsonschema_rs

URL = sys.argv[1]


def contents(value, place=""):
    """Everything that has a body, with where it stands."""
    if isinstance(value, dict):
        for kind, content in value.get("content", {}).items() if "description" in value or "required" in value else ():
            yield f"{place}/{kind}", content
        for name, inner in value.items():
            if name not in ("example", "examples", "schema"):
                yield from contents(inner, f"{place}/{name}")


with urllib.request.urlopen(URL) as answer:
    document = json.load(answer)

count = 0
for place, content in contents(document["paths"] | document["components"]["responses"]):
    # References lead into the document.
    schema = {"components": document["components"], **content["schema"]}
    if "text/event-stream" in place:
        jsonschema_rs.validator_for(schema)
        continue
    validator = jsonschema_rs.validator_for(schema)
    examples = [it["value"] for it in content["examples"].values()] if "examples" in content else [content["example"]]
    for example in examples:
        errors = [f"{error.message} at {error.instance_path}" for error in validator.iter_errors(example)]
        assert not errors, f"{place}: {errors}"
        count += 1
assert count > 80, count
