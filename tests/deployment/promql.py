"""What PromQL expressions ask for: names of series, and of their labels."""

from __future__ import annotations

import re
from typing import NamedTuple

from prometheus_client import REGISTRY

from gateway.ops.metrics.rows import METRICS

WORDS = frozenset(
    {
        *("absent", "and", "by", "count", "group_left", "histogram_quantile", "ignoring"),
        *("increase", "max", "min", "on", "or", "rate", "sum", "time"),
    }
)
"""Functions, operators and modifiers that the expressions here may use."""
TARGET_LABELS = frozenset({"instance", "job", "le"})
"""Set by Prometheus, and by histograms."""

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_LABELS = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")
_SELECTOR = re.compile(r"\b([A-Za-z_:]\w*)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


class Asked(NamedTuple):
    """The series of an expression with the labels that each is selected by, and the labels that
    results are grouped or joined by."""

    series: dict[str, set[str]]
    grouped: set[str]


def asked(expression: str) -> Asked:
    """What an expression needs.

    Raises:
        AssertionError: it uses a function or an operator that is not among WORDS.
    """
    bare = _TEXT.sub('""', expression)
    grouped = {name.strip() for names in _LABELS.findall(bare) for name in names.split(",")}
    rest = re.sub(r"\[[^]]*\]|\$\w+", "", _LABELS.sub("", bare))
    series: dict[str, set[str]] = {}
    for name, matchers in _SELECTOR.findall(rest):
        if name not in WORDS:
            series.setdefault(name, set()).update(_MATCHER.findall(matchers))
    called = set(re.findall(r"([a-z_]\w*)\s*\(", rest))
    assert called <= WORDS, called - WORDS
    return Asked(series, grouped - {""})


def offered() -> dict[str, set[str]]:
    """The labels of each series that a gateway's /metrics has, those of process and Python too."""
    found = {
        sample.name: set(sample.labels)
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name.startswith(("process_", "python_"))
    }
    found["gateway_build_info"] = {"version", "build", "python"}
    for row in METRICS:
        if row.type == "histogram":
            for end in ("bucket", "count", "sum"):
                found[f"{row.name}_{end}"] = {*row.labels}
        else:
            found[row.name] = {*row.labels}
    return found


def missing(expression: str) -> list[str]:
    """What an expression asks for and no gateway has."""
    series, grouped = asked(expression)
    known = offered()
    wrong = [name for name in series if name not in known]
    for name, labels in series.items():
        has = known.get(name, set()) | TARGET_LABELS
        wrong += [f"{name}{{{label}}}" for label in sorted(labels - has)]
    reachable = TARGET_LABELS.union(*(known.get(name, set()) for name in series))
    return wrong + [f"by ({label})" for label in sorted(grouped - reachable)]
