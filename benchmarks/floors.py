"""The figures that must be reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measure import CONNECTIONS, DOWN_1M, DOWN_100M, MIB, SLOW_DOWN
from benchmarks.results import SYNC_WAYS
from benchmarks.servers import FAST_PROXY, GATEWAY, GATEWAY_BARE, NGINX, NGINX_BARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results import Results
    from benchmarks.servers import Peer


@dataclass(frozen=True, slots=True)
class Floor:
    what: str
    bound: float
    measured: float | None
    at_most: bool = False

    @property
    def is_reached(self) -> bool | None:
        """None where it was not measured."""
        if self.measured is None:
            return None
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound

    def __str__(self) -> str:
        verdict = {True: "PASS", False: "FAIL", None: "not measured"}[self.is_reached]
        sign = "≤" if self.at_most else "≥"
        measured = "" if self.measured is None else f": {self.measured:,.2f}"
        return f"{verdict}: {self.what} {sign} {self.bound:,g}{measured}"


def floors(results: Results) -> Iterator[Floor]:
    rows = ((GATEWAY, NGINX, 0.40), (GATEWAY, FAST_PROXY, 2.0), (GATEWAY_BARE, NGINX_BARE, 0.50))
    for peer, other, bound in rows:
        for connections in CONNECTIONS:
            what = f"requests/s of {peer.name} over {other.name}, {connections} connections"
            yield Floor(what, bound, _rate_over(results, peer, other, connections))
    ours, theirs = results.added_p50(GATEWAY.name), results.added_p50(NGINX.name)
    added = ours / theirs if ours is not None and theirs else None
    yield Floor("p50 added at half load over nginx's", 2.0, added, at_most=True)
    for what in (DOWN_1M, DOWN_100M):
        over = _transfer_over(results, GATEWAY, NGINX, what)
        yield Floor(f"{what}, MB/s over nginx's", 0.8, over)
    memory = results.memory
    slow = memory.over_idle_bytes[SLOW_DOWN] / MIB if memory else None
    yield Floor("MiB over idle with a slow reader", 8.0, slow, at_most=True)
    redirects, preferred = (results.sync.get(way) for way in SYNC_WAYS)
    calls = redirects.calls_per_second.median if redirects else None
    yield Floor("sync calls a second", 1200.0, calls)
    over = None
    if redirects is not None and preferred is not None:
        over = preferred.calls_per_second.over(redirects.calls_per_second)
    yield Floor("sync calls a second by Prefer over those by a redirect", 1.0, over)


def _rate_over(results: Results, peer: Peer, other: Peer, connections: int) -> float | None:
    ours = results.rate(peer.name, connections)
    theirs = results.rate(other.name, connections)
    if ours is None or theirs is None:
        return None
    return ours.requests_per_second.over(theirs.requests_per_second)


def _transfer_over(results: Results, peer: Peer, other: Peer, what: str) -> float | None:
    ours, theirs = results.transfer(peer.name, what), results.transfer(other.name, what)
    if ours is None or theirs is None:
        return None
    return ours.megabytes_per_second.over(theirs.megabytes_per_second)
