"""The channel between a worker and its supervisor: a pair of connected sockets, a JSON line each.

The supervisor begins with ``Start``; then it asks questions, which the worker answers, and gives
orders. The end of the channel is the end of whoever held the other end.

Orders are no signals, because others send those to all processes at once (Ctrl-C, systemd), and a
second one would cut what the first had handed back.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket
    from typing import Self

LINE_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


class Question(StrEnum):
    LIVE = "live"
    """Answered once the worker takes connections."""
    READY = "ready"
    METRICS = "metrics"
    """Answered unasked, too, at the worker's end."""
    GLANCE = "glance"
    """What operators see of it at this moment."""
    WAITS = "waits"
    """Who waits in it."""
    PREPARE = "prepare"
    """Why the worker cannot go on by the settings that come with it: a ``Refusal``. Else it can at
    once."""
    TAKE = "take"
    """The same, once it goes on by them."""
    TASKS = "tasks"
    """What it does at this moment."""


class Order(StrEnum):
    RELOAD = "reload"
    """Go on by the settings that come with it, without an answer."""
    REFUSED = "refused"
    """Others were wanted, and could not be used."""
    DRAIN = "drain"
    """End once nothing is being answered."""
    STOP = "stop"
    """End at once."""


class WorkerSettings(msgspec.Struct):
    """What a worker goes by."""

    config: Config
    pair: int = 0
    """Which pair of certificate and key the files are, by its number in ``certificates.py``."""


class Start(msgspec.Struct):
    number: int
    """Of the worker, from 1."""
    sockets: list[int]
    """File descriptors to accept connections on."""
    settings: WorkerSettings
    segment: int | None = None
    """The descriptor of the memory that all workers share."""


class Message(msgspec.Struct):
    """To a worker: a question or an order."""

    question: Question | None = None
    order: Order | None = None
    settings: WorkerSettings | None = None
    """Those that either is about."""


class Refusal(msgspec.Struct):
    """What settings cannot be used for; empty where they can."""

    problems: list[str] = []
    may_pass: bool = False
    """It may be over in a moment."""


class WorkerReply(msgspec.Struct):
    """Of a worker."""

    to: Question
    content: msgspec.Raw


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket) -> Self:
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=LINE_BYTES))

    def send(self, message: msgspec.Struct) -> None:
        """Send without waiting; nothing once the channel has ended."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    async def receive(self, kind: type[T]) -> T | None:
        """The next message, None at the end."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return msgspec.json.decode(line, type=kind) if line.endswith(b"\n") else None

    def close(self) -> None:
        self._writer.close()

    async def flush(self, seconds: float) -> None:
        """Wait until what was sent is on its way, so long at most."""
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(seconds):
                self._writer.transport.set_write_buffer_limits(0)
                await self._writer.drain()


class Asking:
    """The supervisor's side: of each question one is open at most, which all who ask it share.

    ``told`` is given every reply, also those to nothing that is open.
    """

    def __init__(self, channel: Channel, told: Callable[[WorkerReply], None]) -> None:
        self._channel = channel
        self._told = told
        self._open: dict[Question, asyncio.Future[msgspec.Raw | None]] = {}
        self._has_ended = False

    async def ask(
        self, question: Question, seconds: float, settings: WorkerSettings | None = None
    ) -> msgspec.Raw | None:
        """The answer, None where none comes in time."""
        if self._has_ended:
            return None
        response = self._open.get(question)
        if response is None:
            response = self._open[question] = asyncio.get_running_loop().create_future()
            self._channel.send(Message(question=question, settings=settings))
        await asyncio.wait([response], timeout=seconds)
        return response.result() if response.done() else None

    async def run(self) -> None:
        """Take the answers until the worker ends."""
        while (reply := await self._channel.receive(WorkerReply)) is not None:
            self._told(reply)
            response = self._open.pop(reply.to, None)
            if response is not None:
                response.set_result(reply.content)
        self._has_ended = True
        for response in self._open.values():
            response.set_result(None)
