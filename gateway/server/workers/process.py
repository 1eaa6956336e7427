"""A worker's process, as its supervisor has it.

It is started as a program, not forked: this process runs an event loop, threads maybe.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from gateway.server.workers.channel import Asking, Channel, Message, Order, Question, Start
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import Config
    from gateway.server.workers.channel import WorkerReply
    from gateway.shared.segment import Segment

END_SECONDS = 5.0
"""What it gets to say its last words in, once it has ended."""


class Process:
    """A worker as its supervisor has it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
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
        config: Config,
        sockets: Sequence[socket.socket],
        told: Callable[[WorkerReply], None],
        *,
        segment: Segment | None = None,
        python: str = sys.executable,
        path: Sequence[str] = sys.path,
    ) -> Process:
        """A new one; its channel is the only thing that ties it to this process. ``told`` is given
        all that it replies. ``segment`` is shared by all. ``path`` is where ``python`` finds
        modules.

        Raises:
            OSError
        """
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = [sock.fileno() for sock in sockets]
            memory = [] if segment is None else [segment.descriptor]
            try:
                process = await asyncio.create_subprocess_exec(
                    # It runs this package, not one that lies in the working directory.
                    *(python, "-P", "-m", "gateway.server.workers.worker", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
                    pass_fds=[theirs.fileno(), *descriptors, *memory],
                    process_group=0,
                )
            except OSError:
                ours.close()
                raise
        channel = await Channel.over(ours)
        channel.send(Start(number, descriptors, config, *memory))
        return cls(process, channel, told)

    async def ended(self) -> int:
        status = await self._process.wait()
        await self._tasks.aclose(END_SECONDS)
        self._channel.close()
        return status

    async def ask(
        self, question: Question, seconds: float, config: Config | None = None
    ) -> msgspec.Raw | None:
        return await self._asking.ask(question, seconds, config)

    def order(self, order: Order, config: Config | None = None) -> None:
        self._channel.send(Message(order=order, config=config))

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
