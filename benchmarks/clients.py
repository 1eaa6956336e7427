"""Clients on raw sockets, for what wrk does not do; each run is a process of its own.

Usage: python -m benchmarks.clients NAME JSON-ARGUMENTS; prints its findings as JSON.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import statistics
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Findings = dict[str, float]
TIMEOUT_SECONDS = 60.0
CHUNK_BYTES = 256 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: *([!-~]+)\r\n", re.IGNORECASE)


class UnexpectedResponse(Exception):
    """An answer has another status or framing than the measurement needs."""


class Connection:
    """A keep-alive connection; ``begun`` is when its request was sent."""

    def __init__(self, port: int, source: str = "") -> None:
        self._port = port
        self._source = (source, 0) if source else None
        self.begun = 0.0
        self._received = b""
        self._connect()

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, request: bytes, now: float) -> None:
        self.begun = now
        self._received = b""
        if self._is_closing:
            self.socket.close()
            self._connect()
        self.socket.sendall(request)

    def answer(self) -> bytes | None:
        """Read once: the whole answer, None while some of it is missing."""
        chunk = self.socket.recv(CHUNK_BYTES)
        if not chunk:
            raise UnexpectedResponse("closed")
        self._received += chunk
        head, end, content = self._received.partition(b"\r\n\r\n")
        if not end:
            return None
        fields = (head + b"\r\n").lower()
        length = _LENGTH.search(fields)
        if length is None:
            raise UnexpectedResponse(head.decode("latin-1"))
        self._is_closing = b"\r\nconnection: close\r\n" in fields
        return self._received if len(content) >= int(length[1]) else None

    def ask(self, request: bytes) -> bytes:
        """Send a request and wait for the whole answer."""
        self.send(request, 0.0)
        while (response := self.answer()) is None:
            pass
        return response

    def _connect(self) -> None:
        address = ("127.0.0.1", self._port)
        self.socket = socket.create_connection(address, TIMEOUT_SECONDS, self._source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._is_closing = False


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def steady(port: int, target: str, rate: float, seconds: float, connections: int) -> Findings:
    """Send at a constant rate, however long answers take (an open loop).

    A request that is due while all connections are busy waits; that counts as its latency.
    """
    clock = time.perf_counter
    request = get(target)
    idle = [Connection(port) for _ in range(connections)]
    for connection in idle:
        _ok(connection.ask(request))
    busy: list[Connection] = []
    due: deque[float] = deque()
    latencies: list[float] = []
    started = clock()
    planned, scheduled = int(rate * seconds), 0
    while len(latencies) < planned:
        now = clock()
        if now > started + seconds + TIMEOUT_SECONDS:
            raise UnexpectedResponse("too slow for this rate")
        while scheduled < planned and started + scheduled / rate <= now:
            due.append(now)
            scheduled += 1
        while due and idle:
            connection = idle.pop()
            connection.send(request, due.popleft())
            busy.append(connection)
        wait = started + scheduled / rate - clock() if scheduled < planned else 1.0
        for connection in select.select(busy, [], [], max(wait, 0.0))[0]:
            response = connection.answer()
            if response is not None:
                latencies.append(clock() - connection.begun)
                _ok(response)
                busy.remove(connection)
                idle.append(connection)
    quantiles = statistics.quantiles(latencies, n=100)
    return {"p50": quantiles[49], "p99": quantiles[98]}


def alone(port: int, target: str, seconds: float, core: int) -> Findings:
    """Ask again and again on one connection, from a core that the proxy does not use."""
    os.sched_setaffinity(0, {core})
    clock = time.perf_counter
    request, connection = get(target), Connection(port)
    _ok(connection.ask(request))
    latencies: list[float] = []
    started = clock()
    while (begun := clock()) < started + seconds:
        response = connection.ask(request)
        latencies.append(clock() - begun)
        _ok(response)
    quantiles = statistics.quantiles(latencies, n=100)
    return {"p50": quantiles[49], "p99": quantiles[98]}


def sync(
    port: int, job: str, token: str, seconds: float, connections: int, *, prefers: bool
) -> Findings:
    """Create a job, follow the 303, take the result; each connection again and again. One that
    ``prefers`` to wait has the result as the first response."""
    fields = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
    query, prefer = ("", "Prefer: wait=10\r\n") if prefers else ("?wait_result=true", "")
    create = (
        f"POST /task/{job}/job{query} HTTP/1.1\r\n{fields}{prefer}"
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
    ).encode()
    clock = time.perf_counter
    open_connections = [Connection(port) for _ in range(connections)]
    calls, started = 0, clock()
    latencies: list[float] = []
    for connection in open_connections:
        connection.send(create, clock())
    while (now := clock()) < started + seconds:
        for connection in select.select(open_connections, [], [], 1.0)[0]:
            response = connection.answer()
            if response is None:
                continue
            if response.startswith(b"HTTP/1.1 303 "):
                location = _LOCATION.search(response)
                assert location is not None
                target = location[1].decode("ascii")
                connection.send(f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode(), connection.begun)
                continue
            _ok(response)
            calls += 1
            latencies.append(clock() - connection.begun)
            connection.send(create, clock())
    if not calls:
        raise UnexpectedResponse("not one call was answered")
    return {"calls": calls / (now - started), "p50": statistics.median(latencies)}


def download(
    port: int, target: str, pause_seconds: float = 0.0, bytes_per_second: float = 0.0
) -> Findings:
    """Read one answer, after a pause and no faster than told (0: as it comes)."""
    connection = Connection(port)
    if bytes_per_second:
        # What the kernel takes is not what the proxy has to hold.
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    connection.socket.sendall(get(target))
    _pause(pause_seconds)
    buffer = bytearray(CHUNK_BYTES)
    started = time.perf_counter()
    received = connection.socket.recv_into(buffer)
    head = bytes(buffer[:received]).partition(b"\r\n\r\n")[0] + b"\r\n"
    length = _LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200 ") or length is None:
        raise UnexpectedResponse(head.decode("latin-1"))
    total = int(length[1]) + len(head) + 2
    while received < total:
        read = connection.socket.recv_into(buffer)
        if not read:
            raise UnexpectedResponse("cut")
        received += read
        if bytes_per_second:
            _pause(started + received / bytes_per_second - time.perf_counter())
    return {"seconds": time.perf_counter() - started}


def upload(port: int, target: str, length: int) -> Findings:
    """Send content of ``length`` bytes and wait for the answer."""
    connection = Connection(port)
    chunk = bytes(CHUNK_BYTES)
    started = time.perf_counter()
    connection.socket.sendall(
        f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()
    )
    for _ in range(length // CHUNK_BYTES):
        connection.socket.sendall(chunk)
    connection.socket.sendall(chunk[: length % CHUNK_BYTES])
    while (response := connection.answer()) is None:
        pass
    _ok(response)
    return {"seconds": time.perf_counter() - started}


def idle(port: int, target: str, connections: int) -> Findings:
    """Make a request on each connection, say so, and keep them until stdin ends."""
    request = get(target)
    kept: list[Connection] = []
    for number in range(connections):
        # An address has some 28 000 ports.
        kept.append(Connection(port, f"127.0.0.{2 + number // 5000}"))
        _ok(kept[-1].ask(request))
    print(json.dumps({"open": len(kept)}), flush=True)
    sys.stdin.read()
    return {"open": len(kept)}


def _pause(seconds: float) -> None:
    if seconds > 0:
        time.sleep(seconds)  # noqa: TID251 - there is no event loop here


def _ok(response: bytes) -> None:
    if not response.startswith(b"HTTP/1.1 200 "):
        raise UnexpectedResponse(response[:300].decode("latin-1"))


CLIENTS: dict[str, Callable[..., Findings]] = {
    client.__name__: client for client in (steady, alone, sync, download, upload, idle)
}

if __name__ == "__main__":
    print(json.dumps(CLIENTS[sys.argv[1]](**json.loads(sys.argv[2]))))
