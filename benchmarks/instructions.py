"""Processor instructions for each request: by perf where the machine counts them, else by valgrind.

They hardly depend on what else the machine does. perf counts the kernel's too, valgrind does not.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from benchmarks.load import LoadFailed
from benchmarks.processes import DidNotStart
from benchmarks.servers import FAST_PROXY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.measure import Bench
    from benchmarks.processes import Process
    from benchmarks.servers import Peer

CONNECTIONS = 32
SECONDS = 10
"""A shorter load would count the connections' beginnings more than the requests."""
TOOL_SECONDS = 20
_COUNTED = re.compile(r"^(\d+),[^,]*,instructions", re.MULTILINE)
_COLLECTED = re.compile(r"^totals: (\d+)", re.MULTILINE)
_VALGRIND = ("valgrind", "--tool=callgrind", "--instr-atstart=no")


def instructions(bench: Bench, peers: Sequence[Peer], upstream: int) -> None:
    """Measure at 32 connections."""
    if _perf_counts():
        bench.results.instructions_by = "perf"
        _by_perf(bench, peers, upstream)
    elif shutil.which("valgrind") and shutil.which("callgrind_control"):
        bench.results.instructions_by = "valgrind, without the kernel's"
        for peer in peers:
            if peer is FAST_PROXY:
                bench.leave_out("instructions of fast-proxy: node does not run under valgrind")
                continue
            try:
                bench.results.instructions[peer.name] = _by_valgrind(bench, peer, upstream)
            except (LoadFailed, DidNotStart, subprocess.SubprocessError) as failure:
                bench.leave_out(f"instructions of {peer.name}: {failure}")
    else:
        bench.leave_out("instructions: perf cannot count them here, and there is no valgrind")


def _perf_counts() -> bool:
    try:
        tried = subprocess.run(
            ["perf", "stat", "-x", ",", "-e", "instructions", "true"],
            capture_output=True,
            text=True,
            timeout=TOOL_SECONDS,
            check=False,
        )
    except OSError:
        return False
    return _COUNTED.search(tried.stderr) is not None


def _by_perf(bench: Bench, peers: Sequence[Peer], upstream: int) -> None:
    counts = bench.site.folder / "perf"
    with bench.started(peers, upstream) as servers:
        for peer, server in servers:
            bench.say(f"instructions of {peer.name}")
            ids = ",".join(map(str, server.family))
            perf = ("perf", "stat", "-x", ",", "-e", "instructions", "-p", ids)
            _load(bench, server)
            requests = _load(bench, server, (*perf, "-o", str(counts), "--"))
            found = _COUNTED.search(counts.read_text("utf-8"))
            if found is None:
                raise LoadFailed("perf did not count")
            bench.results.instructions[peer.name] = int(found[1]) / requests


def _by_valgrind(bench: Bench, peer: Peer, upstream: int) -> float:
    bench.say(f"instructions of {peer.name}")
    folder = bench.site.new_folder("valgrind")
    wrap = (*_VALGRIND, f"--log-file={folder}/%p.log", f"--callgrind-out-file={folder}/%p.out")
    with peer.start(dataclasses.replace(bench.site, wrap=wrap), peer, upstream) as server:
        _load(bench, server)
        _control(server, "--instr=on")
        requests = _load(bench, server)
        _control(server, "--dump")
        server.kill()  # under valgrind nginx does not notice SIGTERM
    return _collected(folder) / requests


def _control(server: Process, order: str) -> None:
    for pid in server.family:
        subprocess.run(
            ["callgrind_control", order, str(pid)],
            capture_output=True,
            timeout=TOOL_SECONDS,
            check=True,
        )


def _collected(folder: Path) -> int:
    dumps = (dump.read_text("utf-8", "replace") for dump in folder.glob("*.out.*"))
    return sum(int(count) for dump in dumps for count in _COLLECTED.findall(dump))


def _load(bench: Bench, server: Process, prefix: tuple[str, ...] = ()) -> int:
    load = bench.clients.wrk(
        server, "/small", connections=CONNECTIONS, seconds=SECONDS, prefix=prefix
    )
    return load.requests
