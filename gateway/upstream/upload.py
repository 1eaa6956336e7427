"""A request's content on its way from the client to the upstream.

The first ``PLACE_BYTES`` of it, or all of it, are gathered before the request takes a connection:
what a client sends slowly keeps no other waiting until then. From there on its pauses are its own,
and the upstream's time runs only while that is waited for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from gateway.errors import ContentCut, GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.upstream.connections.connection import UpstreamConnection

PLACE_BYTES = 64 * 1024
_LAST_CHUNK = b"0\r\n\r\n"


class Content(Protocol):
    """A request's content, fetched piece by piece."""

    async def read(self) -> bytes:
        """The next piece, empty at the end."""
        raise NotImplementedError


class Upload:
    """``is_chunked``: it goes in the chunked coding (RFC 9112, 7.1). ``seconds``: the upstream may
    take as long for each piece, and to begin its response behind the last. ``clock`` gives
    monotonic seconds."""

    __slots__ = (
        "_clock",
        "_content",
        "_is_chunked",
        "_seconds",
        "_sending",
        "awaits_client",
        "gathered",
        "is_whole",
        "passed_on_at",
    )

    def __init__(
        self, content: Content, clock: Callable[[], float], *, is_chunked: bool, seconds: float
    ) -> None:
        self._clock = clock
        self._content = content
        self._is_chunked = is_chunked
        self._seconds = seconds
        self._sending: asyncio.Task[None] | None = None
        self.gathered = b""
        """Bytes to be sent behind the request's head."""
        self.is_whole = False
        """``gathered`` is all of the content, so that it can be sent again."""
        self.awaits_client = False
        """The client is waited for, not the upstream."""
        self.passed_on_at = 0.0
        """Time of the client's last piece, or its end; 0 while there was none behind the head."""

    async def gather(self) -> None:
        """Read as much as is needed for a connection; raises what reading raises."""
        # Not a list: pieces of a few bytes would take many times their length.
        content = bytearray()
        while len(content) < PLACE_BYTES and (piece := await self._content.read()):
            content += piece
        self.is_whole = len(content) < PLACE_BYTES
        self.gathered = self._framed(bytes(content))
        if self.is_whole and self._is_chunked:
            self.gathered += _LAST_CHUNK

    @property
    def was_begun(self) -> bool:
        """Content that was not gathered follows the request, or has followed it."""
        return self._sending is not None

    def begin(self, connection: UpstreamConnection) -> None:
        """Send what was not gathered, in a task, until its end or ``stop``."""
        self._sending = asyncio.get_running_loop().create_task(
            self._send_rest(connection), name="upload"
        )

    async def stop(self, connection: UpstreamConnection | None) -> None:
        """Send no more. A connection on which some of it is missing is closed: what the upstream
        would read next is unknown."""
        sending, self._sending = self._sending, None
        if sending is not None and not sending.done():
            if connection is not None:
                connection.close()
            sending.cancel()
            await asyncio.wait([sending])

    async def _send_rest(self, connection: UpstreamConnection) -> None:
        """Send what was not gathered. A failure of the client's is that of the exchange."""
        try:
            while piece := await self._from_client(connection):
                await connection.write(self._framed(piece))
            if self._is_chunked:
                await connection.write(_LAST_CHUNK)
        except (GatewayError, ContentCut) as failure:
            if connection.is_open:
                connection.fail(failure)

    async def _from_client(self, connection: UpstreamConnection) -> bytes:
        connection.suspend()
        self.awaits_client = True
        piece = await self._content.read()
        self.awaits_client = False
        self.passed_on_at = self._clock()
        connection.extend(self._seconds)
        return piece

    def _framed(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked and piece else piece
