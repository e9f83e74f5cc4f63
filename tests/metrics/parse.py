"""Reads scrapes with Prometheus' own client: a list of texts in JSON comes in, what they say goes out.

What holds for every scrape is asserted here.
"""

import json
import math
import sys

from prometheus_client.parser import text_string_to_metric_families


def histogram(family):
    """Every series rises to its count, and has a sum."""
    series = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        parts = series.setdefault(json.dumps(labels, sort_keys=True), {"bounds": []})
        if sample.name == family.name + "_bucket":
            parts["bounds"].append((float(sample.labels["le"]), sample.value))
        else:
            parts[sample.name.removeprefix(family.name)] = sample.value
    for labels, parts in series.items():
        bounds, counts = zip(*parts["bounds"])
        assert list(bounds) == sorted(set(bounds)) and bounds[-1] == math.inf, (family.name, labels, bounds)
        assert list(counts) == sorted(counts), (family.name, labels, counts)
        assert counts[-1] == parts["_count"] > 0, (family.name, labels, parts)
        # No more than all of them at their upper bounds, no less than at their lower ones.
        least = sum(
            (count - before) * lower
            for lower, count, before in zip((0,) + bounds, counts, (0,) + counts)
        )
        assert parts["_sum"] >= least * (1 - 1e-9), (family.name, labels, parts)


def check(family, seen):
    assert family.name.startswith(("patchbay_", "process_")), family.name
    assert family.type in ("counter", "gauge", "histogram"), (family.name, family.type)
    assert family.documentation.endswith("."), (family.name, family.documentation)
    assert family.name not in seen, family.name
    seen.add(family.name)
    for sample in family.samples:
        assert math.isfinite(sample.value) and sample.value >= 0, sample
        key = (sample.name, json.dumps(sample.labels, sort_keys=True))
        assert key not in seen, key
        seen.add(key)
        if family.type == "counter":
            assert sample.name == family.name + "_total", sample.name
    if family.type == "histogram":
        histogram(family)


def read(text):
    families, seen = {}, set()
    for family in text_string_to_metric_families(text):
        check(family, seen)
        samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
        families[family.name] = {"type": family.type, "samples": samples}
    return families


json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
