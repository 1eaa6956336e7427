"""The command: which measurements, of what, for how long."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks import measure
from benchmarks.builds import compiled_build
from benchmarks.floors import floors
from benchmarks.instructions import instructions
from benchmarks.load import Clients, LoadFailed
from benchmarks.machine import machine
from benchmarks.processes import DidNotStart, allow_many_files
from benchmarks.report import report
from benchmarks.results import Results
from benchmarks.servers import (
    FAST_PROXY,
    FAST_PROXY_VERSION,
    GATEWAY,
    GATEWAY_INTERPRETED,
    HAPROXY,
    NGINX,
    NGINX_BARE,
    PEERS,
    Site,
    install_fast_proxy,
    start_sink,
    start_upstream,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from benchmarks.processes import Process
    from benchmarks.servers import Peer

PARTS = (
    "rates",
    "tls",
    "workers",
    "instructions",
    "latency",
    "alone",
    "transfers",
    "memory",
    "sync",
)
TRANSFER_PEERS = (NGINX, NGINX_BARE, HAPROXY, GATEWAY)
NAMES = (*(peer.name for peer in PEERS), *PARTS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a floor is missed, 2 if nothing can be measured."""
    options = _options(arguments)
    missing = [tool for tool in ("nginx", "wrk") if shutil.which(tool) is None]
    if missing:
        print(f"Cannot measure without {' and '.join(missing)}.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _leave)
    allow_many_files()
    results = Results()
    with tempfile.TemporaryDirectory(prefix="gateway-benchmark-") as folder:
        _measure(options, Path(folder), results)
    print(report(results))
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    return 1 if any(floor.is_reached is False for floor in floors(results)) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "relay.py",
        description="Measures the gateway beside other proxies on this machine, over loopback.",
        allow_abbrev=False,
    )
    parser.add_argument("--quick", action="store_true", help="2 rounds instead of 5")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,...",
        help=f"some proxies and parts of: {', '.join(NAMES)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to FILE")
    options = parser.parse_args(arguments)
    unknown = set(options.only) - set(NAMES)
    if unknown:
        parser.error(f"--only knows no {', '.join(sorted(unknown))}")
    return options


def _measure(options: argparse.Namespace, folder: Path, results: Results) -> None:
    parts = [part for part in PARTS if part in options.only] or PARTS
    wanted = [peer for peer in PEERS if peer.name in options.only] or PEERS
    peers, modules = _available(wanted, results)
    results.machine = machine()
    site = Site(folder, modules, compiled_build())
    if site.compiled is None:
        results.left_out.append("the compiled build: `make bench` makes it")
        peers = [peer for peer in peers if peer is not GATEWAY_INTERPRETED]
    clients = Clients(folder)
    rounds = 2 if options.quick else 5
    bench = measure.Bench(site, clients, results, rounds, 2.0)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(start_upstream(site))
        sink = stack.enter_context(start_sink(site))
        for part in parts:
            try:
                _part(part, bench, peers, upstream, sink)
            except (LoadFailed, DidNotStart) as failure:
                bench.leave_out(f"{part}: {failure}")


def _part(
    part: str, bench: measure.Bench, peers: Sequence[Peer], upstream: Process, sink: Process
) -> None:
    match part:
        case "rates":
            measure.rates(bench, peers, upstream.port)
        case "tls":
            if shutil.which("openssl") is None:
                bench.leave_out("TLS in: needs openssl")
            else:
                measure.tls(bench, upstream.port)
        case "workers":
            measure.workers(bench, upstream.port)
        case "instructions":
            instructions(bench, peers, upstream.port)
        case "latency":
            measure.latency(bench, upstream)
        case "alone":
            measure.alone(bench, upstream)
        case "transfers":
            some = [peer for peer in peers if peer in TRANSFER_PEERS]
            measure.transfers(bench, some, upstream, sink)
        case "memory":
            measure.memory(bench, upstream.port, sink.port)
        case _:
            measure.sync(bench, upstream.port)


def _available(wanted: Sequence[Peer], results: Results) -> tuple[list[Peer], Path | None]:
    peers = [peer for peer in wanted if shutil.which(peer.tool) is not None]
    modules = install_fast_proxy() if FAST_PROXY in peers else None
    if modules is None:
        peers = [peer for peer in peers if peer is not FAST_PROXY]
    for peer in wanted:
        if peer not in peers:
            needs = f"npm and fast-proxy {FAST_PROXY_VERSION}" if peer is FAST_PROXY else peer.tool
            results.left_out.append(f"{peer.name}: needs {needs}")
    return peers, modules


def _leave(_number: int, _frame: FrameType | None) -> None:
    # As an exception it stops what was started.
    raise SystemExit(2)
