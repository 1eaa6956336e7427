"""The client at the other end of a connection: the way of bytes to it, and from it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.downstream.listening.sockets import peer_address, reset
from gateway.errors import ClientGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.upstream.connections.write_batch import WriteBatch


UNREAD_BYTES: Final = 16 * 1024
"""Above so much that is of use later the socket is not read, and a client that leaves goes
unnoticed. One more read may come on top."""


class Peer:
    """``transport`` is None once the connection is lost."""

    __slots__ = (
        "_at",
        "_unread",
        "_writable",
        "address",
        "is_full",
        "is_paused",
        "receive",
        "scheme",
        "transport",
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport: asyncio.Transport | None = transport
        self.address = peer_address(transport.get_extra_info("peername"))
        """Without its port; empty where it has none."""
        self.scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
        self.is_full = False
        """It takes less than it is sent."""
        self.is_paused = False
        """Nothing is read from it."""
        self.receive: Callable[[bytes], None] | None = None
        """Takes what comes, which is not HTTP any more."""
        self._writable: asyncio.Future[None] | None = None
        self._unread = b""
        """What was received and is of use later, from ``_at`` on."""
        self._at = 0

    @property
    def is_gone(self) -> bool:
        """Nothing can be sent to it any more."""
        transport = self.transport
        return transport is None or transport.is_closing()

    # --- to it

    def write(self, data: bytes, write_batch: WriteBatch | None = None) -> None:
        """Send ``data``; with ``write_batch``, when that is flushed.

        Raises:
            ClientGone: the connection is closed.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        if write_batch is None:
            transport.write(data)
        else:
            write_batch.write(transport, data)

    async def drain(self, seconds: float) -> None:
        """Wait while the client does not take what it was sent.

        Raises:
            ClientGone: the connection is gone, or nothing was taken for ``seconds``.
        """
        if not self.is_full:
            return
        assert self._writable is None, "one request is answered at a time"
        self._writable = writable = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await writable
        except TimeoutError:
            raise ClientGone from None
        finally:
            self._writable = None
        if self.transport is None:
            raise ClientGone

    def filled(self) -> None:
        """So much waits to be sent that no more should be written."""
        self.is_full = True

    def drained(self) -> None:
        """The client takes data again."""
        self.is_full = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    @property
    def is_sending(self) -> bool:
        """It has not taken all that it was sent."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    # --- from it

    @property
    def has_unread(self) -> bool:
        """Something was received that is of use later."""
        return bool(self._unread)

    def keep(self, data: bytes, at: int) -> None:
        """Keep what was received, from ``at`` on; receive no more if that is much."""
        if self._unread:
            data, at = self._unread[self._at :] + data[at:], 0
        self._unread, self._at = data, at
        if len(data) - at > UNREAD_BYTES:
            self.pause_reading()

    def take(self) -> tuple[bytes, int]:
        """What was kept, and from where on it is unread."""
        data, self._unread = self._unread, b""
        return data, self._at

    def switch(self, receive: Callable[[bytes], None]) -> None:
        """From now on ``receive`` is called with all that comes, also what came already."""
        self.receive = receive
        data, at = self.take()
        self.resume_reading()
        if data:
            receive(data[at:])

    def pause_reading(self) -> None:
        """Take no more from the client until ``resume_reading``."""
        transport = self.transport
        if not self.is_paused and transport is not None and not transport.is_closing():
            self.is_paused = True
            transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading, if the connection is still there."""
        transport = self.transport
        if self.is_paused and transport is not None and not transport.is_closing():
            self.is_paused = False
            transport.resume_reading()

    # --- its end

    @property
    def descriptor(self) -> int:
        """Of its socket, for another process to go on with; -1 where none can: there is TLS, or
        something is still to be sent."""
        transport = self.transport
        if transport is None or self.scheme != "http" or self.is_sending or transport.is_closing():
            return -1
        number: int = transport.get_extra_info("socket").fileno()
        return number

    def half_close(self) -> bool:
        """Send no more; whether that was possible, and what the client sends is still read."""
        transport = self.transport
        if transport is None or transport.is_closing() or not transport.can_write_eof():
            return False
        try:
            transport.write_eof()
        except OSError:
            # The client has gone, which nobody has told yet.
            return False
        self.resume_reading()
        return True

    def close(self) -> None:
        """End the connection when what was written is sent."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def reset(self) -> None:
        """End the connection so that what was sent cannot seem complete."""
        if self.transport is not None:
            reset(self.transport)

    def lost(self) -> None:
        """The connection is gone."""
        self.transport = None
        self.receive = None
        self._unread = b""
        self.drained()
