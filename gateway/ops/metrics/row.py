"""What a metric is: a row of the table."""

from __future__ import annotations

from typing import Literal, NamedTuple

Stability = Literal["stable", "may change"]
"""Whether name, type and labels stay as they are within a major version; labels may get more values
with any."""


class Row(NamedTuple):
    """A metric: its name as Prometheus shows it, its labels, and its meaning for operators."""

    name: str
    type: Literal["counter", "gauge", "histogram", "info"]
    labels: tuple[str, ...]
    stability: Stability
    meaning: str
    over_workers: Literal["sum", "least", "greatest"] = "sum"
    """What the page of several workers shows of their values; of an info it has each there is."""
