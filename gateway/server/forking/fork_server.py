"""A fork server as it is used: asked for a child, one request at a time."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gateway.server.forking.child import Child, reap_group
from gateway.server.forking.forked import REPLY_BYTES, ForkReply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Start = Callable[[Sequence[int]], Awaitable[asyncio.subprocess.Process]]

_log = logging.getLogger("gateway")
FORK_SECONDS = 30.0
"""What a child may take, the start of the fork server before the first one included."""
END_SECONDS = 5.0
"""What the fork server gets to end by itself."""


@dataclass(frozen=True, slots=True)
class _Running:
    process: asyncio.subprocess.Process
    requests: socket.socket

    @property
    def has_ended(self) -> bool:
        try:
            return not self.requests.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False


class ForkServer:
    """Started with the first child, and anew after it has ended. ``start`` runs it, with a
    descriptor: that of its end of the socket."""

    def __init__(
        self, start: Start, seconds: float = FORK_SECONDS, end_seconds: float = END_SECONDS
    ) -> None:
        self._start = start
        self._seconds = seconds
        self._end_seconds = end_seconds
        self._turn = asyncio.Lock()
        self._running: _Running | None = None
        self._was_started = False
        self._former: list[int] = []
        """The process groups of fork servers that have ended, while there may be children in them
        that nobody was told of."""

    async def fork(self, descriptors: Sequence[int]) -> tuple[Child, Sequence[int]]:
        """A child that has these descriptors, and the numbers they have there.

        Raises:
            OSError
        """
        async with self._turn:
            self._former = [group for group in self._former if not reap_group(group)]
            try:
                async with asyncio.timeout(self._seconds):
                    reply = await self._reply(descriptors)
            except TimeoutError:
                await self.aclose()
                raise TimeoutError(
                    "no answer of the process that workers are forked from"
                ) from None
            except BaseException:
                # A reply that comes later would be taken for that to the next request.
                await self.aclose()
                raise
        if reply.problem:
            raise OSError(reply.problem)
        return Child(reply.pid), reply.descriptors

    async def aclose(self) -> None:
        """End the fork server, its children go on."""
        running, self._running = self._running, None
        if running is None:
            return
        running.requests.close()
        try:
            # In a task that was cancelled asyncio.timeout() cannot tell its own end before 3.11.3.
            await asyncio.wait_for(running.process.wait(), self._end_seconds)
        except TimeoutError:
            with suppress(ProcessLookupError):
                running.process.kill()
            await running.process.wait()
        self._former.append(running.process.pid)

    async def _reply(self, descriptors: Sequence[int]) -> ForkReply:
        if self._running is not None and self._running.has_ended:
            await self.aclose()
        running = self._running or await self._started()
        loop = asyncio.get_running_loop()
        try:
            socket.send_fds(running.requests, [bytes([len(descriptors)])], descriptors)
            content = await loop.sock_recv(running.requests, REPLY_BYTES)
        except ConnectionError:
            content = b""
        if not content:
            raise ConnectionResetError("the process that workers are forked from has ended")
        return msgspec.json.decode(content, type=ForkReply)

    async def _started(self) -> _Running:
        if self._was_started:
            _log.warning("another process begins that workers are forked from")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            try:
                process = await self._start([theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        self._was_started = True
        self._running = _Running(process, ours)
        return self._running
