"""A WebSocket between a client and the upstream: bytes pass both ways as they are.

Each direction waits for the slower side. Frames are only counted off, so that this process can
close the tunnel between two of them before it ends:

    PASSING ------> LEAVING ------> LEFT
            drain           close

The upstream is told first, so that what it has to send is still passed on until it closes as well;
then the client is. What does not consist of frames passes until the process ends.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.errors import ContentCut
from gateway.protocols.websocket.frames import (
    GOING_AWAY,
    Frames,
    close_frame,
    masked_close_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.downstream.request import Client
    from gateway.upstream.connections.connection import UpstreamConnection

UPSTREAM_SECONDS = 0.5
"""What the upstream gets to close in before the client is told all the same."""
CLIENT_SECONDS = 2.0
"""What the client then gets to close in."""


class TunnelState(StrEnum):
    PASSING = "passing"
    LEAVING = "leaving"
    """The upstream is told that this end goes away, and passed on until it closes."""
    LEFT = "left"
    """The client has been told, and nothing is passed on to it any more."""


MOVES = {
    TunnelState.PASSING: {TunnelState.LEAVING},
    TunnelState.LEAVING: {TunnelState.LEFT},
    TunnelState.LEFT: set[TunnelState](),
}
"""Which may follow."""


class Tunnel:
    """Each byte of either side keeps it open for ``idle_seconds``. ``random`` gives bytes."""

    def __init__(
        self,
        client: Client,
        connection: UpstreamConnection,
        idle_seconds: float,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._client = client
        self._connection = connection
        self._idle_seconds = idle_seconds
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._to_client = Frames(are_masked=False)
        self._to_upstream = Frames(are_masked=True)
        self._has_told_upstream = False
        self._is_late = False
        """The upstream has had its time to close."""
        self._client_has_closed = asyncio.Event()
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.state = TunnelState.PASSING

    async def run(self) -> None:
        """Pass bytes until one side hangs up, or both have been told to.

        Raises:
            ClientGone
        """
        client, connection = self._client, self._connection
        connection.when_writable = client.resume_reading
        client.switch(self._receive)
        try:
            with suppress(ContentCut):
                # Either end may just hang up: there is no response left that could be incomplete.
                await self._pass()
            if self.state is TunnelState.LEAVING and self._to_client.is_between:
                await self._leave()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            connection.when_writable = None
            client.close_after_response()
            connection.close_gracefully()

    def go_away(self) -> None:
        """Close it with 1001, unless one of the two closes it, or they do not speak in frames."""
        ways = (self._to_client, self._to_upstream)
        can_be_told = all(way.are_frames and not way.have_closed for way in ways)
        if self.state is TunnelState.PASSING and can_be_told:
            self._move(TunnelState.LEAVING)
            self._timer = self._loop.call_later(UPSTREAM_SECONDS, self._on_late)
            if self._to_upstream.is_between:
                self._tell_upstream()

    def _move(self, state: TunnelState) -> None:
        assert state in MOVES[self.state], f"{self.state} to {state}"
        self.state = state

    # --- to the client

    async def _pass(self) -> None:
        """Pass on what the upstream sends, while it sends and may."""
        client, connection = self._client, self._connection
        while not (self._is_late and self._to_client.is_between):
            chunk = connection.take()
            if chunk is None:
                await self._arrival()
                continue
            passed = self._passed(chunk)
            if passed:
                client.write(passed)
                await client.drain()
            if len(passed) < len(chunk) or not chunk:
                return

    def _passed(self, chunk: bytes) -> bytes:
        """What of it the client gets."""
        frames = self._to_client
        if self.state is TunnelState.PASSING:
            frames.follow(chunk)
            return chunk
        return chunk[: frames.to_end(chunk, 0) if self._is_late else frames.to_close(chunk)]

    async def _arrival(self) -> None:
        """Wait for more from the upstream, or until it is late.

        Where nothing comes in time the connection fails, and ``take`` says so.
        """
        self._waiter = waiter = self._loop.create_future()
        self._connection.call_on_arrival(self._wake, self._idle_seconds)
        try:
            await waiter
        finally:
            self._connection.call_on_arrival(None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_late(self) -> None:
        self._is_late = True
        self._wake()

    async def _leave(self) -> None:
        self._move(TunnelState.LEFT)
        if not self._to_client.have_closed:
            self._client.write(close_frame(GOING_AWAY))
        self._client.resume_reading()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLIENT_SECONDS):
                await self._client_has_closed.wait()

    # --- to the upstream

    def _receive(self, data: bytes) -> None:
        """Pass on, and take no more from the client while the upstream does not take it."""
        self._client.bytes_received += len(data)
        self._connection.extend(self._idle_seconds)
        frames = self._to_upstream
        if self.state is TunnelState.PASSING:
            frames.follow(data)
            passed = data
        elif self._has_told_upstream:
            frames.follow(data)
            passed = b""
        else:
            end = frames.to_end(data, 0)
            passed = data[:end]
        if passed and not self._connection.write_nowait(passed):
            self._client.pause_reading()
        if self.state is not TunnelState.PASSING and not self._has_told_upstream:
            if frames.is_between:
                self._tell_upstream()
            frames.follow(data[len(passed) :])
        if frames.have_closed:
            self._client_has_closed.set()

    def _tell_upstream(self) -> None:
        self._has_told_upstream = True
        if not self._to_upstream.have_closed:
            self._connection.write_nowait(masked_close_frame(GOING_AWAY, self._random))
