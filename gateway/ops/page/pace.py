"""What happens in a second, from what was counted at two moments. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.ops.glances.together import sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.ops.glances.glance import Figures, Glance

LONGEST_SECONDS: Final = 10.0
"""Moments further apart, between which nobody looked, tell nothing of either."""
_CUMULATIVE = ("_total", "_bucket")


class Spread(msgspec.Struct):
    """Seconds that half, and nineteen of twenty, took at most; None where there were none."""

    p50: float | None
    p95: float | None


class Point(msgspec.Struct):
    """The charts' values at one moment; rates are of a second."""

    at: float
    """Seconds since 1970."""
    requests: dict[str, float]
    """By kind."""
    waits: float
    notice: dict[str, Spread]
    """How long after the end of a job its result was sent, by how the end was learned."""
    upstream: Spread
    """How long the orchestrator took to begin its answers."""
    upstream_requests: float
    upstream_failed: float
    """Of these: without an answer, or with 5xx."""
    busy: float
    """Connections to the orchestrator, and requests that wait for one."""
    queued: float
    refusals: dict[str, float]
    """Requests that did not get what they asked for by the gateway's doing, by reason."""


class Pace:
    """Compares each process with itself: one that begins anew has counted from zero."""

    def __init__(self) -> None:
        self._before: dict[int, Glance] = {}

    def point(self, glances: Mapping[int, Glance], at: float) -> Point | None:
        """The values since the last call, by the processes' numbers; None where there is nothing
        to compare with."""
        before, self._before = self._before, dict(glances)
        rates, counts = [], []
        for number, glance in glances.items():
            last = before.get(number)
            if last is None:
                continue
            began_anew = last.seconds > glance.seconds
            seconds = glance.seconds if began_anew else glance.seconds - last.seconds
            if not 0 < seconds <= LONGEST_SECONDS:
                continue
            grown = _growth({} if began_anew else last.figures, glance.figures)
            counts.append(grown)
            rates.append(
                {
                    name: {labels: value / seconds for labels, value in values.items()}
                    for name, values in grown.items()
                }
            )
        if not rates:
            return None
        now = sums(glance.figures for glance in glances.values())
        return _point(at, sums(rates), sums(counts), now)


def _point(at: float, rate: Figures, count: Figures, now: Figures) -> Point:
    upstream = rate.get("gateway_upstream_requests_total", {})
    connections = now.get("gateway_upstream_connections", {})
    return Point(
        at=at,
        requests=_by_first_label(rate.get("gateway_requests_total", {})),
        waits=now.get("gateway_waits_in_flight", {}).get("", 0.0),
        notice={
            way: spread(buckets)
            for way, buckets in _buckets(count.get("gateway_notice_seconds_bucket", {})).items()
        },
        upstream=spread(
            _summed(_buckets(count.get("gateway_upstream_seconds_bucket", {})).values())
        ),
        upstream_requests=sum(upstream.values()),
        upstream_failed=sum(
            value for labels, value in upstream.items() if labels.endswith(("failed", "5xx"))
        ),
        busy=connections.get("busy", 0.0),
        queued=connections.get("queued", 0.0),
        refusals=_by_first_label(rate.get("gateway_errors_total", {})),
    )


def spread(buckets: Mapping[float, float]) -> Spread:
    """What cumulative counts by upper bounds tell of the middle and of the slowest."""
    return Spread(quantile(buckets, 0.5), quantile(buckets, 0.95))


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """The seconds that such a share took at most, taken to be spread evenly within a bucket; above
    the last bound it is that bound."""
    ordered = sorted(buckets.items())
    if not ordered or ordered[-1][1] <= 0:
        return None
    wanted = share * ordered[-1][1]
    below, counted = 0.0, 0.0
    for bound, count in ordered:
        if count >= wanted:
            if math.isinf(bound):
                break
            return below + (bound - below) * (wanted - counted) / (count - counted)
        below, counted = bound, count
    return below


def _growth(before: Figures, after: Figures) -> Figures:
    return {
        name: {
            labels: max(0.0, value - before.get(name, {}).get(labels, 0.0))
            for labels, value in values.items()
        }
        for name, values in after.items()
        if name.endswith(_CUMULATIVE)
    }


def _by_first_label(values: Mapping[str, float]) -> dict[str, float]:
    """Those that are more than nothing."""
    found: dict[str, float] = {}
    for labels, value in values.items():
        if value > 0:
            name = labels.partition(" ")[0]
            found[name] = found.get(name, 0.0) + value
    return found


def _buckets(values: Mapping[str, float]) -> dict[str, dict[float, float]]:
    """Cumulative counts by upper bounds, by the first label."""
    found: dict[str, dict[float, float]] = {}
    for labels, value in values.items():
        name, _, bound = labels.rpartition(" ")
        found.setdefault(name, {})[float(bound)] = value
    return found


def _summed(several: Iterable[Mapping[float, float]]) -> dict[float, float]:
    total: dict[float, float] = {}
    for buckets in several:
        for bound, count in buckets.items():
            total[bound] = total.get(bound, 0.0) + count
    return total
