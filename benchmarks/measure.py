"""The measurements. Servers run side by side, idle while another is measured; rounds interleave."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.load import Load, LoadFailed
from benchmarks.processes import DidNotStart, Process
from benchmarks.results import (
    PREFERRED,
    SYNC_WAYS,
    Latency,
    Memory,
    Rate,
    Spread,
    Sync,
    Transfer,
)
from benchmarks.servers import GATEWAY, GATEWAY_2, GATEWAY_TLS, HAPROXY, JOB, NGINX, NGINX_TLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.load import Clients
    from benchmarks.results import Results
    from benchmarks.servers import Peer, Site

CONNECTIONS = (32, 256)
SYNC_CLIENTS = 16
TRANSFER_CLIENTS = 8
IDLE_CONNECTIONS = 10_000
SPARE_FILES = 500
MIB = 1024 * 1024
LARGE_BYTES = 100 * MIB
LARGE = "100 MB"
DOWN_1M, DOWN_100M = "1 MB down", f"{LARGE} down"
UP_64K, UP_1M, UP_100M = "64 kB POST", "1 MB up", f"{LARGE} up"
SLOW_DOWN = f"{LARGE} down, slow reader"
SLOW_PAUSE_SECONDS, SLOW_BYTES_PER_SECOND = 1.0, 40e6


@dataclass(frozen=True, slots=True)
class Bench:
    site: Site
    clients: Clients
    results: Results
    rounds: int
    seconds: float
    """Of a round of one server."""

    @property
    def few_rounds(self) -> int:
        """Of what varies less than the rates: a whole run shall take some five minutes."""
        return min(self.rounds, 3)

    @contextlib.contextmanager
    def started(self, peers: Sequence[Peer], upstream: int) -> Iterator[list[tuple[Peer, Process]]]:
        """Those peers that start, each in front of the upstream; the others are left out."""
        with contextlib.ExitStack() as stack:
            servers = []
            for peer in peers:
                try:
                    servers.append(
                        (peer, stack.enter_context(peer.start(self.site, peer, upstream)))
                    )
                except (OSError, DidNotStart) as failure:
                    self.leave_out(f"{peer.name}: did not start: {failure}")
            yield servers

    def leave_out(self, what: str) -> None:
        if what not in self.results.left_out:
            self.results.left_out.append(what)

    def say(self, what: str) -> None:
        print(f"... {what}", file=sys.stderr, flush=True)


def rates(bench: Bench, peers: Sequence[Peer], upstream: int) -> None:
    """Requests a second as fast as they go."""
    bench.results.rates += _rates(bench, peers, upstream, CONNECTIONS)


def tls(bench: Bench, upstream: int) -> None:
    """The same, with TLS from the clients."""
    bench.results.tls += _rates(bench, (NGINX_TLS, GATEWAY_TLS), upstream, CONNECTIONS[:1])


def workers(bench: Bench, upstream: int) -> None:
    """The same, of one worker and of two."""
    bench.results.workers += _rates(bench, (GATEWAY, GATEWAY_2), upstream, CONNECTIONS[:1])


def latency(bench: Bench, upstream: Process) -> None:
    """Latency at half of what the gateway can do, without a proxy and through two."""
    with bench.started((NGINX, GATEWAY), upstream.port) as servers:
        targets = [("direct", upstream), *((peer.name, server) for peer, server in servers)]
        rate = bench.results.rate(GATEWAY.name, CONNECTIONS[0])
        most = (
            rate.requests_per_second.median
            if rate is not None
            else bench.clients.wrk(
                dict(targets)[GATEWAY.name], "/small", connections=CONNECTIONS[0], seconds=2
            ).rate
        )
        bench.results.half_load = most / 2
        found: dict[str, list[dict[str, float]]] = {name: [] for name, _ in targets}
        for number in range(bench.few_rounds):
            bench.say(f"latency, round {number + 1} of {bench.few_rounds}")
            for name, server in targets:
                findings = bench.clients.run(
                    "steady",
                    port=server.port,
                    target="/small",
                    rate=most / 2,
                    seconds=bench.seconds,
                    connections=CONNECTIONS[0],
                )
                found[name].append(findings)
    bench.results.latencies += _latencies(found)


def alone(bench: Bench, upstream: Process) -> None:
    """Latency of one connection, with the proxy on a core of its own, client and upstream on
    another: nothing waits for a core that somebody else has."""
    usable = os.sched_getaffinity(0)
    if len(usable) < 2:
        bench.leave_out("the proxy on a core of its own: there is only one")
        return
    theirs, own = sorted(usable)[:2]
    with bench.started((NGINX, HAPROXY, GATEWAY), upstream.port) as servers:
        upstream.keep_to({theirs})
        try:
            targets = [("direct", upstream), *((peer.name, server) for peer, server in servers)]
            found: dict[str, list[dict[str, float]]] = {name: [] for name, _ in targets}
            for _, server in servers:
                server.keep_to({own})
            for number in range(bench.few_rounds):
                bench.say(f"one connection, round {number + 1} of {bench.few_rounds}")
                for name, server in targets:
                    findings = bench.clients.run(
                        "alone",
                        port=server.port,
                        target="/small",
                        seconds=bench.seconds,
                        core=theirs,
                    )
                    found[name].append(findings)
        finally:
            upstream.keep_to(usable)
    bench.results.alone += _latencies(found)


def _latencies(found: dict[str, list[dict[str, float]]]) -> Iterator[Latency]:
    for name, rounds in found.items():
        p50, p99 = (
            Spread(tuple(findings[key] * 1e6 for findings in rounds)) for key in ("p50", "p99")
        )
        yield Latency(name, p50, p99)


def transfers(bench: Bench, peers: Sequence[Peer], upstream: Process, sink: Process) -> None:
    """Megabytes a second, down from the upstream and up to the sink."""
    downs = {DOWN_1M: (MIB, _down_1m), DOWN_100M: (LARGE_BYTES, _down_100m)}
    ups = {UP_64K: (65536, _up_64k), UP_1M: (MIB, _up_1m), UP_100M: (LARGE_BYTES, _up_100m)}
    for kinds, behind in ((downs, upstream), (ups, sink)):
        with bench.started(peers, behind.port) as servers:
            for what, (size, measure) in kinds.items():
                loads: dict[str, list[Load]] = {peer.name: [] for peer, _ in servers}
                for number in range(bench.few_rounds):
                    bench.say(f"{what}, round {number + 1} of {bench.few_rounds}")
                    for peer, server in servers:
                        loads[peer.name].append(measure(bench.clients, server))
                for name, rounds in loads.items():
                    bench.results.transfers.append(
                        Transfer(
                            name,
                            what,
                            Spread(tuple(load.rate * size / 1e6 for load in rounds)),
                            _spread(rounds, lambda load: load.cpu_microseconds),
                        )
                    )


def memory(bench: Bench, upstream: int, sink: int) -> None:
    """What a new gateway takes for large transfers and for idle connections."""
    clients = bench.clients
    slow = {"pause_seconds": SLOW_PAUSE_SECONDS, "bytes_per_second": SLOW_BYTES_PER_SECOND}
    kinds: dict[str, tuple[int, Callable[[int], object]]] = {
        DOWN_100M: (upstream, lambda port: clients.run("download", port=port, target="/100m")),
        UP_100M: (sink, lambda port: _upload(clients, port)),
        SLOW_DOWN: (
            upstream,
            lambda port: clients.run("download", port=port, target="/100m", **slow),
        ),
    }
    peaks: dict[str, int] = {}
    for what, (behind, use) in kinds.items():
        bench.say(f"memory, {what}")
        with _new_gateway(bench, behind) as (server, idle_bytes):
            use(server.port)
            peaks[what] = max(server.peak_bytes() - idle_bytes, 0)
    bench.say("memory, idle connections")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE_CONNECTIONS, soft - SPARE_FILES)
    if count < IDLE_CONNECTIONS:
        bench.leave_out(f"{IDLE_CONNECTIONS} idle connections: only {count}, for want of files")
    with _new_gateway(bench, upstream) as (server, idle_bytes):
        try:
            with clients.holding(port=server.port, target="/small", connections=count):
                each = (server.resident_bytes() - idle_bytes) / count
        except LoadFailed as failure:
            bench.leave_out(f"idle connections: {failure}")
            count, each = 0, 0.0
    bench.results.memory = Memory(idle_bytes, peaks, count, each)


def sync(bench: Bench, upstream: int) -> None:
    """Whole calls of the sync mode, by each of its ways in turn. The job ends at once."""
    found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in SYNC_WAYS}
    with _new_gateway(bench, upstream) as (server, _):
        for number in range(-1, bench.few_rounds):
            bench.say(f"sync calls, round {number + 1} of {bench.few_rounds}")
            for way, rounds in found.items():
                before = server.cpu_seconds()
                findings = bench.clients.run(
                    "sync",
                    port=server.port,
                    job=JOB,
                    token=_token(),
                    seconds=bench.seconds,
                    connections=SYNC_CLIENTS,
                    prefers=way == PREFERRED,
                )
                if number >= 0:  # the first warms up
                    used = server.cpu_seconds() - before
                    made = findings["calls"] * bench.seconds
                    rounds.append((findings["calls"], findings["p50"] * 1e3, used / made * 1e6))
    for way, rounds in found.items():
        calls, p50, microseconds = (Spread(values) for values in zip(*rounds, strict=True))
        bench.results.sync[way] = Sync(calls, p50, microseconds)


def _rates(
    bench: Bench, peers: Sequence[Peer], upstream: int, counts: Sequence[int]
) -> Iterator[Rate]:
    """Of those that answer everything, by the number of connections."""
    with bench.started(peers, upstream) as servers:
        for _, server in servers:
            bench.clients.wrk(server, "/small", connections=32, seconds=1)
        for connections in counts:
            loads: dict[str, list[Load]] = {peer.name: [] for peer, _ in servers}
            for number in range(bench.rounds):
                bench.say(f"{connections} connections, round {number + 1} of {bench.rounds}")
                for peer, server in list(servers):
                    try:
                        load = bench.clients.wrk(
                            server, "/small", connections=connections, seconds=bench.seconds
                        )
                    except LoadFailed as failure:
                        end = ", it has ended" if server.has_ended else ""
                        what = f"{peer.name}{end}, {connections} connections"
                        bench.leave_out(f"{what}: {failure}")
                        servers.remove((peer, server))
                    else:
                        loads[peer.name].append(load)
            for peer, _ in servers:
                yield Rate(
                    peer.name,
                    connections,
                    _spread(loads[peer.name], lambda load: load.rate),
                    _spread(loads[peer.name], lambda load: load.cpu_microseconds),
                )


@contextlib.contextmanager
def _new_gateway(bench: Bench, upstream: int) -> Iterator[tuple[Process, int]]:
    """A gateway that has answered one request, and what it then takes."""
    with GATEWAY.start(bench.site, GATEWAY, upstream) as server:
        bench.clients.run("upload", port=server.port, target="/task/x/job", length=2)
        server.forget_peak()
        yield server, server.resident_bytes()


def _down_1m(clients: Clients, server: Process) -> Load:
    return clients.wrk(server, "/1m", connections=TRANSFER_CLIENTS, seconds=1)


def _up_64k(clients: Clients, server: Process) -> Load:
    return clients.wrk(server, "/", connections=32, seconds=1, post_bytes=65536)


def _up_1m(clients: Clients, server: Process) -> Load:
    return clients.wrk(server, "/", connections=TRANSFER_CLIENTS, seconds=1, post_bytes=MIB)


def _down_100m(clients: Clients, server: Process) -> Load:
    return _timed(server, lambda: clients.run("download", port=server.port, target="/100m"))


def _up_100m(clients: Clients, server: Process) -> Load:
    return _timed(server, lambda: _upload(clients, server.port))


def _timed(server: Process, transfer: Callable[[], dict[str, float]]) -> Load:
    before = server.cpu_seconds()
    seconds = transfer()["seconds"]
    return Load(1 / seconds, (server.cpu_seconds() - before) * 1e6)


def _upload(clients: Clients, port: int) -> dict[str, float]:
    return clients.run("upload", port=port, target="/", length=LARGE_BYTES)


def _spread(loads: Sequence[Load], part: Callable[[Load], float]) -> Spread:
    return Spread(tuple(map(part, loads)))


def _token() -> str:
    """An unsigned token of the organization acme: the gateway verifies none."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"org_uuid": "acme", "user_id": "1"})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, b"bm9uZQ"]).decode("ascii")
