"""The findings as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.floors import floors
from benchmarks.measure import CONNECTIONS, MIB, SYNC_CLIENTS
from benchmarks.servers import (
    GATEWAY_2,
    GATEWAY_TLS,
    NGINX,
    NGINX_BARE,
    NGINX_TLS,
    PEERS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.results import Latency, Rate, Results, Spread

_LABELS = {peer.name: peer.label for peer in (*PEERS, NGINX_TLS, GATEWAY_TLS, GATEWAY_2)}
_LABELS["direct"] = "no proxy"
_BARE = {peer.name for peer in PEERS if peer.is_bare}


def report(results: Results) -> str:
    """Machine, tables, floors, what was left out."""
    parts = [
        [f"- {name}: {value}" for name, value in results.machine.items()],
        *(_rates(results, connections) for connections in CONNECTIONS),
        _compared(results.tls, "TLS in, 32 connections", "× nginx"),
        _compared(results.workers, "32 connections", "× one worker"),
        _instructions(results),
        _latencies(f"{results.half_load:,.0f} requests/s", results.latencies),
        _latencies("one connection, the proxy on a core of its own", results.alone),
        _transfers(results),
        _memory(results),
        _sync(results),
        [f"- {floor}" for floor in floors(results)],
        [f"- Left out: {what}" for what in results.left_out],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _rates(results: Results, connections: int) -> list[str]:
    rates = [rate for rate in results.rates if rate.connections == connections]
    if not rates:
        return []
    titles = (
        f"{connections} connections",
        "requests/s",
        "rounds",
        "× nginx of the like kind",
        "CPU µs/request",
    )
    return _table(titles, (_rate_cells(results, rate) for rate in rates))


def _rate_cells(results: Results, rate: Rate) -> Iterator[str]:
    nginx = NGINX_BARE if rate.peer in _BARE else NGINX
    other = results.rate(nginx.name, rate.connections)
    yield _LABELS[rate.peer]
    yield f"{rate.requests_per_second.median:,.0f}"
    yield _range(rate.requests_per_second)
    over = None if other is None else rate.requests_per_second.over(other.requests_per_second)
    yield "" if over is None else f"{over:.2f}"
    yield f"{rate.cpu_microseconds.median:.1f}"


def _compared(rates: Sequence[Rate], what: str, ratio: str) -> list[str]:
    """Each over the first."""
    rows = []
    for rate in rates:
        requests, first = rate.requests_per_second, rates[0].requests_per_second
        cells = [f"{requests.median:,.0f}", _range(requests), f"{requests.over(first):.2f}"]
        rows.append([_LABELS[rate.peer], *cells, f"{rate.cpu_microseconds.median:.1f}"])
    titles = (what, "requests/s", "rounds", ratio, "CPU µs/request")
    return _table(titles, rows) if rows else []


def _instructions(results: Results) -> list[str]:
    if not results.instructions:
        return []
    titles = (f"instructions ({results.instructions_by})", "for each request")
    counts = results.instructions.items()
    return _table(titles, ((_LABELS[peer], f"{count:,.0f}") for peer, count in counts))


def _latencies(what: str, latencies: Sequence[Latency]) -> list[str]:
    """What each adds to the first, which is without a proxy."""
    if not latencies:
        return []
    direct = latencies[0]
    titles = (what, "p50 µs", "added", "p99 µs", "added")
    rows = []
    for latency in latencies:
        cells = [_LABELS[latency.peer]]
        for ours, theirs in (
            (latency.p50_microseconds, direct.p50_microseconds),
            (latency.p99_microseconds, direct.p99_microseconds),
        ):
            added = "" if latency is direct else f"{ours.median - theirs.median:,.0f}"
            cells += [f"{ours.median:,.0f} ({_range(ours)})", added]
        rows.append(cells)
    return _table(titles, rows)


def _transfers(results: Results) -> list[str]:
    if not results.transfers:
        return []
    kinds = list(dict.fromkeys(transfer.what for transfer in results.transfers))
    peers = dict.fromkeys(transfer.peer for transfer in results.transfers)
    rows = []
    for peer in peers:
        found = [results.transfer(peer, what) for what in kinds]
        rates = [transfer.megabytes_per_second if transfer else None for transfer in found]
        rows.append(
            [_LABELS[peer], *(f"{r.median:,.0f} ({_range(r)})" if r else "" for r in rates)]
        )
    return _table(("MB/s", *kinds), rows)


def _memory(results: Results) -> list[str]:
    memory = results.memory
    if memory is None:
        return []
    rows = [["idle", f"{memory.idle_bytes / MIB:.1f}"]]
    rows += [
        [f"{what}: peak over idle", f"{most / MIB:.1f}"]
        for what, most in memory.over_idle_bytes.items()
    ]
    if memory.idle_connections:
        total = memory.bytes_per_idle_connection * memory.idle_connections / MIB
        each = memory.bytes_per_idle_connection / 1024
        what = f"{memory.idle_connections:,} idle connections: over idle"
        rows.append([what, f"{total:.1f} ({each:.1f} KiB each)"])
    return _table(("memory of the gateway", "MiB"), rows)


def _sync(results: Results) -> list[str]:
    if not results.sync:
        return []
    titles = (f"sync calls, {SYNC_CLIENTS} clients", "calls/s", "rounds", "p50 ms", "CPU µs/call")
    rows = []
    for way, sync in results.sync.items():
        calls, used = sync.calls_per_second, sync.cpu_microseconds
        cells = [f"{calls.median:,.0f}", _range(calls), f"{sync.p50_milliseconds.median:.1f}"]
        rows.append([way, *cells, f"{used.median:.0f}"])
    return _table(titles, rows)


def _range(spread: Spread) -> str:
    return f"{min(spread.values):,.0f}-{max(spread.values):,.0f}"


def _table(titles: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
