"""Measures polling: how late results come, what they cost the upstream and a wait costs here.

Latencies and requests are counted on virtual time, with the real watcher. Held requests are real:
orchestrator, clients and gateway are processes of their own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import DidNotStart, allow_many_files, free_port, running
from benchmarks.servers import ROOT
from benchmarks.waiting.control import told
from benchmarks.waiting.lag import lags
from benchmarks.waiting.simulation import (
    Findings,
    alone,
    in_turn,
    lone,
    simulate,
    simulate_fixed,
    together,
)
from benchmarks.waiting.table import Floor, row, show, titles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.processes import Process
    from benchmarks.waiting.control import Told

MEDIAN_SECONDS = 3.0
P50, P95 = (50, 0.100, 0.07), (95, 0.250, 0.15)
"""Percentile, and what it may be late: seconds or a share of the run time, whichever is more."""
LEARNED_RUNS = 10
TASK = ("acme", "task")
TOKENS = 200
ENDS = 1000
STEADY_SECONDS = 10.0
SETTLE_SECONDS = 3.0
ANSWER_SECONDS = 17.0
LONG_HOLD_SECONDS, SHORT_HOLD_SECONDS = 180, 5
"""One that lasts for the whole measurement, and the documented default."""
COUNTED_FROM_SECONDS = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a floor is missed, 2 if something could not be measured."""
    options = _options(arguments)
    allow_many_files()
    floors: list[Floor] = []
    try:
        show(_latencies(floors))
        show(_growth(floors))
        show(_held(options, floors))
    except (DidNotStart, RuntimeError) as failure:
        print(f"Not measured: {failure}.", file=sys.stderr)
        return 2
    show(map(str, floors))
    return 0 if all(floor.is_reached for floor in floors) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.waiting.polling", description=__doc__)
    parser.add_argument("--waits", type=int, default=10_000, help="that the gateway holds")
    parser.add_argument("--plain-waits", type=int, default=1000, help="that a plain gateway holds")
    parser.add_argument("--service-ms", type=float, default=4, help="the orchestrator's answers")
    return parser.parse_args(arguments)


# --- how late, at what price


def _latencies(floors: list[Floor]) -> Iterator[str]:
    mix = alone(400, MEDIAN_SECONDS, 1.0)
    known = alone(400 + LEARNED_RUNS, MEDIAN_SECONDS, 0.25)
    three = lone(400, 2.5, 3.5)
    quick = in_turn([3.0] * LEARNED_RUNS + [0.2])
    kinds: tuple[tuple[str, Callable[[], Findings]], ...] = (
        ("mix of unknown tasks", lambda: simulate(mix)),
        ("mix of unknown tasks, fixed 1 s", lambda: simulate_fixed(mix)),
        ("about 3 s, unknown", lambda: simulate(three)),
        ("about 3 s, fixed 1 s", lambda: simulate_fixed(three)),
        ("σ = 0.25, not learned", lambda: simulate(known).without(LEARNED_RUNS)),
        ("σ = 0.25, learned", lambda: simulate(known, task=TASK).without(LEARNED_RUNS)),
        ("σ = 0.25, fixed 1 s", lambda: simulate_fixed(known).without(LEARNED_RUNS)),
        ("σ = 1, learned", lambda: simulate(mix, task=TASK).without(LEARNED_RUNS)),
        ("0.2 s after ten of 3 s", lambda: simulate(quick, task=TASK).without(LEARNED_RUNS)),
    )
    yield from titles(
        "one job at a time", "late p50", "of allowed", "p95", "of allowed", "requests"
    )
    for name, find in kinds:
        found = find()
        yield row(name, *_late_cells(found), f"{found.requests_per_job:.1f}")
        if "unknown" in name and "fixed" not in name:
            floors += _late_floors(name, found)
            floors.append(Floor(f"{name}: requests", found.requests_per_job, 20))
        if name == "σ = 0.25, learned":
            floors += _late_floors(name, found)
            floors.append(Floor(f"{name}: requests", found.requests_per_job, 10))


def _late_cells(found: Findings) -> Iterator[str]:
    for limits in (P50, P95):
        share, allowed = found.late(*limits)
        yield f"{share:.1%}"
        yield f"{allowed:.2f}"


def _late_floors(name: str, found: Findings) -> Iterator[Floor]:
    yield Floor(f"{name}: p50 late, of max(7 %, 100 ms)", found.late(*P50)[1], 1)
    yield Floor(f"{name}: p95 late, of max(15 %, 250 ms)", found.late(*P95)[1], 1)


def _growth(floors: list[Floor]) -> Iterator[str]:
    yield from titles(
        "jobs at a time, one token",
        *("late p50", "of allowed", "p95", "of allowed"),
        *("polls/job", "polls/s", "polls/s for each waiting"),
    )
    least = {100: 0.7, 1000: 0.1}
    for concurrent, seconds in ((1, 2000), (10, 300), (100, 90), (1000, 40), (10_000, 25)):
        jobs = together(concurrent, seconds, MEDIAN_SECONDS, 1.0)
        found = simulate(jobs, counted=(COUNTED_FROM_SECONDS, seconds))
        per_job = found.polls / len(found.outcomes)
        per_second = found.polls / (seconds - COUNTED_FROM_SECONDS)
        yield row(
            f"{concurrent:,}",
            *_late_cells(found),
            f"{per_job:.3f}",
            f"{per_second:.1f}",
            f"{per_second / concurrent:.4f}",
        )
        if concurrent in least:
            floors.append(Floor(f"{concurrent:,} jobs: polls/job", per_job, least[concurrent]))


# --- held requests


@dataclass(frozen=True, slots=True)
class Held:
    bytes_per_wait: float
    lag_p50: float
    lag_p99: float
    requests_per_second: float
    cpu_share: float
    answered: int
    late_p50: float
    last: float
    """From the first end to the last answer, in seconds."""


def _held(options: argparse.Namespace, floors: list[Floor]) -> Iterator[str]:
    yield from titles(
        f"held requests, {TOKENS} tokens",
        *("KiB each", "loop lag p50 ms", "p99 ms", "upstream requests/s", "CPU"),
        *(f"answered of {ENDS:,} ends in 1 s", "late p50 s", "last after s"),
    )
    ours, plain = options.waits, options.plain_waits
    for name, waits, seconds in (
        ("**gateway**", ours, LONG_HOLD_SECONDS),
        ("**gateway**", ours, SHORT_HOLD_SECONDS),
        ("**gateway**", plain, LONG_HOLD_SECONDS),
        ("plain, 1 s", plain, LONG_HOLD_SECONDS),
    ):
        held = _hold(waits, seconds, options.service_ms, plain="plain" in name)
        yield row(
            f"{name}: {waits:,}, {seconds} s each",
            f"{held.bytes_per_wait / 1024:.1f}",
            f"{held.lag_p50 * 1e3:.1f}",
            f"{held.lag_p99 * 1e3:.1f}",
            f"{held.requests_per_second:.1f}",
            f"{held.cpu_share:.0%}",
            f"{held.answered:,}",
            f"{held.late_p50:.2f}",
            f"{held.last:.2f}",
        )
        what = f"{waits:,} held for {seconds} s each"
        if waits == ours:
            floors.append(Floor(f"{what}: KiB each", held.bytes_per_wait / 1024, 30))
            floors.append(Floor(f"{what}: loop lag p99 ms", held.lag_p99 * 1e3, 50))
            floors.append(Floor(f"{what}: requests/s", held.requests_per_second, 25))
        if waits == ours and seconds == LONG_HOLD_SECONDS:
            floors.append(Floor(f"{what}: last answer after s", held.last, 12))
            floors.append(Floor(f"{what}: ends not answered", ENDS - held.answered, 0))


def _hold(waits: int, hold_seconds: int, service_ms: float, *, plain: bool) -> Held:
    with (
        tempfile.TemporaryDirectory(prefix="gateway-waits-") as name,
        told("benchmarks.waiting.upstream", str(TOKENS), str(service_ms)) as upstream,
        told("benchmarks.waiting.clients") as clients,
    ):
        folder, port = Path(name), free_port()
        begun = upstream.tell("begin")
        lag = folder / "lag"
        command = _plain(port, begun["url"], lag) if plain else _gateway(lag)
        environment = _environment(port, begun["url"])
        with running(command, port, folder / "log", environment) as gateway:
            before = _settled_bytes(gateway)
            jobs = upstream.tell("create", jobs=waits)
            asked = [(job, begun["tokens"][n % TOKENS]) for n, job in enumerate(jobs)]
            clients.tell("wait", port=port, waits=asked, seconds=hold_seconds)
            _sleep(SETTLE_SECONDS)
            used, sent = gateway.cpu_seconds(), _requests(upstream)
            since = time.monotonic()
            _sleep(STEADY_SECONDS)
            until = time.monotonic()
            late = lags(lag, since, until)
            steady = (gateway.cpu_seconds() - used, _requests(upstream) - sent)
            held_bytes = gateway.resident_bytes() - before
            ends = _ends(upstream, clients, jobs[:: max(1, waits // ENDS)][:ENDS])
    seconds = until - since
    return Held(
        held_bytes / waits,
        late[len(late) // 2],
        late[int(len(late) * 0.99)],
        steady[1] / seconds,
        steady[0] / seconds,
        *ends,
    )


def _ends(upstream: Told, clients: Told, jobs: Sequence[str]) -> tuple[int, float, float]:
    """How many were answered, how late at the median, and how long after the first end the last."""
    ended = upstream.tell("end", jobs=jobs, seconds=1.0)
    _sleep(ANSWER_SECONDS)
    answered = {j: at for j, (at, status) in clients.tell("answered").items() if status == 200}
    late = [answered[job] - at for job, at in ended.items() if job in answered]
    if not late:
        return 0, float("nan"), float("nan")
    last = max(answered[job] for job in ended if job in answered) - min(ended.values())
    return len(late), statistics.median(late), last


def _gateway(lag: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.waiting.measured", str(lag)]


def _plain(port: int, upstream: str, lag: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.waiting.plain", str(port), upstream, str(lag)]


def _environment(port: int, upstream: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    return inherited | {
        "PYTHONPATH": str(ROOT),
        "GATEWAY_UPSTREAM__URL": upstream,
        "GATEWAY_LISTEN__HOST": "127.0.0.1",
        "GATEWAY_LISTEN__PORT": str(port),
        "GATEWAY_ADMIN__PORT": "0",
        # They count, and refuse nobody: all clients come from a few addresses, at once.
        "GATEWAY_LIMITS__MODE": "report",
        "GATEWAY_SYNC__MAX_HOLD_SECONDS": str(LONG_HOLD_SECONDS),
    }


def _settled_bytes(process: Process) -> int:
    _sleep(1.0)
    return process.resident_bytes()


def _requests(upstream: Told) -> int:
    return sum(upstream.tell("requests").values())


def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 - there is no event loop here


if __name__ == "__main__":
    sys.exit(main())
