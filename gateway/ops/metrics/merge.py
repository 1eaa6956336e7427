"""One page of metrics for several workers.

What the gateway counts is summed; of what cannot be, the row in the table says which worker's
counts (``Row.over_workers``). What describes a process (``process_``, ``python_``) cannot be:
it gets a label, ``worker``. A worker that ended leaves its counts here, and one that does not
answer is taken as it was last: a sum that shrank would look to Prometheus like a restart of all.
"""

from __future__ import annotations

from operator import add
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from gateway.ops.metrics.rows import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

EXCHANGED = "application/openmetrics-text; version=1.0.0"
"""The form of workers' pages: it tells every metric's type."""
_OWN = "gateway_"
_CUMULATIVE = frozenset({"counter", "histogram"})
_CHOICES: dict[str, Callable[[float, float], float]] = {"least": min, "greatest": max}
_CHOSEN = {row.name: _CHOICES[row.over_workers] for row in METRICS if row.over_workers != "sum"}


class Totals(Collector):
    """Pages of workers by their numbers, and what those that ended have counted.

    ``supervised`` gives the metrics of whoever keeps the workers.
    """

    def __init__(self, supervised: Callable[[], Iterable[Metric]]) -> None:
        self._supervised = supervised
        self._pages: dict[int, list[Metric]] = {}
        self._ended: list[Metric] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def update(self, number: int, page: str) -> None:
        """A worker's page as it is now, in the form ``EXCHANGED``.

        Raises:
            ValueError: it is none.
        """
        families = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
        self._pages[number] = list(families)

    def retire(self, number: int) -> None:
        """The worker has ended; another one may get its number."""
        counted = [family for family in self._pages.pop(number, ()) if _is_cumulative(family)]
        self._ended = list(_merged([*self._ended, *counted]))

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, in the form that ``Accept`` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        families = [family for page in self._pages.values() for family in page]
        yield from _merged([*self._supervised(), *self._ended, *filter(_is_own, families)])
        yield from _labelled(self._pages)


def _is_own(family: Metric) -> bool:
    return family.name.startswith(_OWN)


def _is_cumulative(family: Metric) -> bool:
    return _is_own(family) and family.type in _CUMULATIVE


def _merged(families: Iterable[Metric]) -> Iterator[Metric]:
    """One of each name, whose samples are sums, or those chosen; what only informs is all there."""
    merged: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], float]] = {}
    labels: dict[frozenset[tuple[str, str]], dict[str, str]] = {}
    for family in families:
        merged.setdefault(family.name, family)
        found = values.setdefault(family.name, {})
        choose = max if family.type == "info" else _CHOSEN.get(family.name, add)
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            labels.setdefault(key[1], sample.labels)
            known = found.get(key)
            found[key] = sample.value if known is None else choose(known, sample.value)
    for name, first in merged.items():
        total = _empty(first)
        for (sample_name, pairs), value in values[name].items():
            total.add_sample(sample_name, labels[pairs], value)
        yield total


def _labelled(pages: dict[int, list[Metric]]) -> Iterator[Metric]:
    merged: dict[str, Metric] = {}
    for number, page in sorted(pages.items()):
        for family in page:
            if not _is_own(family):
                total = merged.setdefault(family.name, _empty(family))
                for sample in family.samples:
                    labels = {**sample.labels, "worker": str(number)}
                    total.add_sample(sample.name, labels, sample.value)
    yield from merged.values()


def _empty(family: Metric) -> Metric:
    return Metric(family.name, family.documentation, family.type, family.unit)
