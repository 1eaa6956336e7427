"""Measures what traces take of a relayed request: processor time with them off, and on.

The gateways stand in front of one upstream and take turns; the collector takes all and keeps
nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import Process, free_port, running

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

RATIOS = (None, 0.0, 0.1, 1.0)
"""None: there is no collector."""
CONNECTIONS = 8
REQUEST = b"GET /acme/task HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t0ken\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\ntrue"
COLLECTED = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Answering(asyncio.Protocol):
    """Answers each request, whose content it counts only."""

    def __init__(self, response: bytes) -> None:
        self._response = response
        self._head = b""
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        while data:
            if self._left:
                taken = min(self._left, len(data))
                data, self._left = data[taken:], self._left - taken
            else:
                self._head += data
                if b"\r\n\r\n" not in self._head:
                    return
                head, _, data = self._head.partition(b"\r\n\r\n")
                self._head = b""
                length = head.lower().partition(b"content-length: ")[2]
                self._left = int(length.partition(b"\r\n")[0] or 0)
            if not self._left:
                self._transport.write(self._response)


async def serve(port: int, response: bytes) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(response), "127.0.0.1", port)
    await server.serve_forever()


async def load(port: int, requests: int) -> None:
    """So many requests, one after the other on each connection."""

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(requests // CONNECTIONS):
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            await reader.readexactly(4)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(ask())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traces", description=__doc__)
    parser.add_argument("--requests", type=int, default=8000, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="of all measurements, in turn")
    parser.add_argument("--role", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        name, port = options.role
        asyncio.run(serve(int(port), COLLECTED if name == "collector" else RESPONSE))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), options.requests, options.rounds)
    return 0


def _compare(folder: Path, requests: int, rounds: int) -> None:
    with ExitStack() as stack:
        upstream = stack.enter_context(_role(folder, "upstream"))
        collector = stack.enter_context(_role(folder, "collector"))
        gateways = {
            ratio: stack.enter_context(_gateway(folder, upstream.port, collector.port, ratio))
            for ratio in RATIOS
        }
        found: dict[float | None, list[float]] = {ratio: [] for ratio in RATIOS}
        for gateway in gateways.values():
            asyncio.run(load(gateway.port, requests // 4))
        for _ in range(rounds):
            for ratio, gateway in gateways.items():
                before = gateway.cpu_seconds()
                asyncio.run(load(gateway.port, requests))
                found[ratio].append((gateway.cpu_seconds() - before) / requests * 1e6)
    print("| traces | µs of processor time | of that without |")
    print("| --- | ---: | ---: |")
    for ratio, values in found.items():
        shares = [value / off for value, off in zip(values, found[None], strict=True)]
        name = "off" if ratio is None else f"sample_ratio {ratio:g}"
        print(f"| {name} | {statistics.median(values):.0f} | {statistics.median(shares):.2f} |")


def _role(folder: Path, name: str) -> AbstractContextManager[Process]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.traces", "--role", name, str(port)]
    return running(command, port, folder / f"{name}.log")


def _gateway(
    folder: Path, upstream: int, collector: int, ratio: float | None
) -> AbstractContextManager[Process]:
    port = free_port()
    given = {
        "LISTEN__HOST": "127.0.0.1",
        "LISTEN__PORT": str(port),
        "ADMIN__PORT": "0",
        "UPSTREAM__URL": f"http://127.0.0.1:{upstream}",
        "LIMITS__MODE": "report",
        "LOG__ACCESS": "false",
    }
    if ratio is not None:
        given["TRACES__ENDPOINT"] = f"http://127.0.0.1:{collector}/v1/traces"
        given["TRACES__SAMPLE_RATIO"] = str(ratio)
    environment = {**os.environ, **{f"GATEWAY_{name}": value for name, value in given.items()}}
    command = [sys.executable, "-m", "gateway", "serve"]
    return running(command, port, folder / f"gateway-{ratio}.log", environment=environment)


if __name__ == "__main__":
    sys.exit(main())
