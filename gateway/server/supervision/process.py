"""A worker's process, as its supervisor has it.

It is forked by another process or started as a program, not forked by this one, which runs an event
loop, threads maybe.
"""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from gateway.server.forking.child import adopting_orphans
from gateway.server.forking.fork_server import ForkServer
from gateway.server.forking.program import started
from gateway.server.workers.channel import Asking, Channel, Message, Order, Question, Start
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AbstractContextManager

    from gateway.server.workers.channel import WorkerReply, WorkerSettings
    from gateway.shared.segment import Segment

    Begin = Callable[[Sequence[int]], Awaitable[tuple["Running", Sequence[int]]]]
    """Begins a process with these descriptors, the first of them that of its channel; it tells the
    numbers they have there."""

_log = logging.getLogger("gateway")
WORKER = "gateway.server.workers.worker"
ZYGOTE = "gateway.server.workers.zygote"
END_SECONDS = 5.0
"""What it gets to say its last words in, once it has ended."""


class Running(Protocol):
    """A process, of asyncio's or forked."""

    @property
    def pid(self) -> int:
        raise NotImplementedError

    async def wait(self) -> int:
        raise NotImplementedError

    def kill(self) -> None:
        raise NotImplementedError


@asynccontextmanager
async def beginning(
    python: str = sys.executable,
    path: Sequence[str] = sys.path,
    adopting: Callable[[], AbstractContextManager[bool]] = adopting_orphans,
) -> AsyncIterator[Begin]:
    """How workers are begun, within the block: forked where ``adopting`` says that the system lets
    this process have others' children, else as programs. ``python`` runs all of them, and finds
    modules in ``path``.
    """

    async def as_programs(descriptors: Sequence[int]) -> tuple[Running, Sequence[int]]:
        return await started(WORKER, descriptors, python=python, path=path), descriptors

    with adopting() as can_fork:
        if not can_fork:
            _log.info("workers cannot be forked here, so each has its own TLS sessions")
            yield as_programs
            return
        zygote = ForkServer(partial(started, ZYGOTE, python=python, path=path))
        try:
            yield zygote.fork
        finally:
            await zygote.aclose()


class Process:
    """A worker as its supervisor has it."""

    def __init__(
        self,
        process: Running,
        channel: Channel,
        told: Callable[[WorkerReply], None],
    ) -> None:
        self._process = process
        self._channel = channel
        self._asking = Asking(channel, told)
        self._tasks = Tasks()
        self._tasks.keep(self._asking.run, name=f"answers of process {process.pid}")

    @classmethod
    async def started(
        cls,
        number: int,
        settings: WorkerSettings,
        sockets: Sequence[socket.socket],
        told: Callable[[WorkerReply], None],
        begin: Begin,
        *,
        segment: Segment | None = None,
    ) -> Process:
        """A new one; its channel is the only thing that ties it to this process. ``told`` is given
        all that it replies. ``segment`` is shared by all.

        Raises:
            OSError
        """
        ours, theirs = socket.socketpair()
        with theirs:
            memory = [] if segment is None else [segment.descriptor]
            descriptors = [theirs.fileno(), *(sock.fileno() for sock in sockets), *memory]
            try:
                process, (_, *there) = await begin(descriptors)
            except BaseException:
                ours.close()
                raise
        channel = await Channel.over(ours)
        count = len(sockets)
        channel.send(Start(number, there[:count], settings, *there[count:]))
        return cls(process, channel, told)

    async def ended(self) -> int:
        status = await self._process.wait()
        await self._tasks.aclose(END_SECONDS)
        self._channel.close()
        return status

    async def ask(
        self, question: Question, seconds: float, settings: WorkerSettings | None = None
    ) -> msgspec.Raw | None:
        return await self._asking.ask(question, seconds, settings)

    def order(self, order: Order, settings: WorkerSettings | None = None) -> None:
        self._channel.send(Message(order=order, settings=settings))

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
