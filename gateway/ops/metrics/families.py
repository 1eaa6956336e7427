"""Makes metrics of values by the rows of the table."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar, cast

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.utils import floatToGoString

from gateway.durations import Durations
from gateway.ops.metrics.rows import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.metrics_core import Metric

Labels = TypeVar("Labels", bound=tuple[str, ...])
Value = float | Durations


_ROWS = {row.name: row for row in METRICS}


def single(name: str, value: Value) -> Metric:
    """The metric of a row without labels."""
    return labelled(name, {(): value})


def labelled(name: str, values: Mapping[Labels, Value]) -> Metric:
    """The metric of a row, with a value for each combination of labels; durations where it is a
    histogram, and any where it is an info.

    Raises:
        KeyError: there is no such row.
    """
    row = _ROWS[name]
    kind, labels, meaning = row.type, row.labels, row.meaning
    if kind == "histogram":
        histogram = HistogramMetricFamily(name, meaning, labels=labels)
        for combination, value in values.items():
            durations = cast("Durations", value)
            histogram.add_metric(combination, _buckets(durations), durations.sum)
        return histogram
    if kind == "info":
        info = InfoMetricFamily(name.removesuffix("_info"), meaning, labels=labels)
        for combination in values:
            info.add_metric(combination, {})
        return info
    family: CounterMetricFamily | GaugeMetricFamily
    make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    family = make(name, meaning, labels=labels)
    for combination, value in values.items():
        family.add_metric(combination, cast("float", value))
    return family


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    names = [*map(floatToGoString, durations.bounds), "+Inf"]
    return list(zip(names, accumulate(durations.counts), strict=True))
