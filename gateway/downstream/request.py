"""The way to the client: one request read, one answer written, over aiohttp's low-level server.

The answer's head is written as bytes and its content handed to the transport as it came, so that
field order, case and multiplicity stay. The connection itself is ``listener``'s.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from aiohttp import HttpVersion11, web
from aiohttp.http import StreamWriter
from aiohttp.streams import EmptyStreamReader

from gateway.downstream.content import RequestContent
from gateway.downstream.listening.places import Places
from gateway.downstream.listening.sockets import peer_address, reset
from gateway.errors import BadRequest, ClientGone, ContentTooLarge, Field, RequestTimeout, Response
from gateway.protocols.http.fields import first, has, lowered, value
from gateway.protocols.http.response_head import REASONS, completed, has_content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import StreamReader

    from gateway.upstream.connections.write_batch import WriteBatch

PIECE_BYTES = 64 * 1024
"""So much of an answer that is held as a whole is handed to the transport at a time."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Client:
    """One request of a client, and the answer to it.

    ``message`` is what aiohttp's parser in C calls a ``RawRequestMessage``, or the class of that
    name in Python: they have nothing in common but their attributes.
    ``target`` is as it came on the request line; ``address`` is the peer's, without its port.
    ``idle_seconds`` bounds each wait for the client, sending or receiving; ``floor`` is the least
    rate at which it sends its content, in bytes a second.
    """

    __slots__ = (
        "_awaits_continue",
        "_chunked",
        "_content",
        "_idle_seconds",
        "_keep_alive",
        "_places",
        "_unsent",
        "added",
        "address",
        "bytes_received",
        "bytes_sent",
        "content_bytes",
        "fields",
        "has_content",
        "is_cut",
        "is_finished",
        "is_http_1_1",
        "method",
        "names",
        "protocol",
        "scheme",
        "started",
        "target",
        "version",
    )

    def __init__(
        self,
        message: Any,
        payload: StreamReader,
        protocol: web.RequestHandler,
        idle_seconds: float,
        *,
        floor: float,
        places: Places,
    ) -> None:
        self.protocol = protocol
        """aiohttp's connection, for a protocol other than HTTP after a 101."""
        self._idle_seconds = idle_seconds
        self._keep_alive = not message.should_close
        self._places = places
        self._chunked = False
        self._unsent = b""
        self.method = message.method
        self.target = message.path
        self.fields: tuple[Field, ...] = message.raw_headers
        self.names = lowered(self.fields)
        """The fields' names in lower case."""
        self.scheme = "http" if protocol.ssl_context is None else "https"
        self.has_content = not isinstance(payload, EmptyStreamReader)
        self.version = message.version
        self.is_http_1_1 = self.version == HttpVersion11
        self.address = peer_address(protocol.peername)
        self.started = False
        """The answer has begun: nothing but its content, or a cut, can follow."""
        self.is_finished = False
        """All of the answer was handed to the transport."""
        self.is_cut = False
        """We ended the connection, not the client."""
        self.bytes_received = 0
        self.bytes_sent = 0
        self.content_bytes = sys.maxsize
        """The most content that is read."""
        self.added: tuple[Field, ...] = ()
        """Fields that the answer gets, whoever gives it, unless it leads elsewhere."""
        self._content = (
            RequestContent(
                payload, idle_seconds=idle_seconds, floor=floor, on_awaited=self._continue
            )
            if self.has_content
            else None
        )
        self._awaits_continue = self.has_content and self.is_http_1_1 and has(self.names, b"expect")

    @property
    def host(self) -> str:
        """The value of ``Host``, empty without one."""
        return (first(self.fields, self.names, b"host") or b"").decode("latin-1")

    @property
    def content_length(self) -> int | None:
        """The length of the request's content where the client names it."""
        length = value(self.fields, b"content-length")
        return None if length is None else int(length)

    async def read(self) -> bytes:
        """The next piece of the request's content, empty at its end.

        Raises:
            ClientGone: the connection is gone.
            BadRequest: the content is not framed as HTTP says.
            ContentTooLarge: there is more than ``content_bytes`` of it.
            RequestTimeout: nothing came for ``idle_seconds``, or less than the floor asks for.
        """
        if self._content is None:
            return b""
        try:
            chunk = await self._content.read()
        except (BadRequest, RequestTimeout):
            self._keep_alive = False
            raise
        self.bytes_received += len(chunk)
        if self.bytes_received > self.content_bytes:
            self._keep_alive = False
            raise ContentTooLarge.than(self.content_bytes)
        return chunk

    async def read_off(self, seconds: float) -> bool:
        """Drop what is left of the content, waiting ``seconds`` at most; whether all was read."""
        return self._content is None or await self._content.read_off(seconds)

    def spoil(self, reason: BaseException) -> None:
        """No more content can be read, for ``reason``, unless it is all there."""
        if self._content is not None:
            self._content.spoil(reason)

    async def send(self, response: Response) -> None:
        """Send a whole answer."""
        reason = response.reason or REASONS.get(response.status, b"")
        self.begin(response.status, reason, completed(response), is_sized=True)
        content = response.content if has_content(self.method, response.status) else b""
        self.write(content[:PIECE_BYTES])
        for start in range(PIECE_BYTES, len(content), PIECE_BYTES):
            await self.drain()
            self.write(content[start : start + PIECE_BYTES])
        self.finish()
        await self.drain()

    def begin(self, status: int, reason: bytes, fields: Iterable[Field], *, is_sized: bool) -> None:
        """Begin the answer. ``fields`` are end-to-end; the framing that is missing is added.

        ``is_sized``: the content's length is among the fields, or there is no content.
        The head is held back until the first content, so that a small answer is one packet.
        """
        lines = [b"HTTP/1.1 %d %b" % (status, reason)]
        lines += [b"%b: %b" % (name, content) for name, content in fields]
        if not 300 <= status < 400:
            lines += [b"%b: %b" % (name, content) for name, content in self.added]
        if not is_sized and has_content(self.method, status):
            if self.is_http_1_1:
                self._chunked = True
                lines.append(b"Transfer-Encoding: chunked")
            else:
                self._keep_alive = False
        if self._awaits_continue and self._content and not self._content.is_complete:
            # Whether it will still send its content nobody knows (RFC 9110, 10.1.1).
            self._keep_alive = False
        if self._places.are_short and status != 303:
            # Who was redirected by it is about to come back, and would have to wait for a place.
            self._keep_alive = False
        if status != 101:
            if not self._keep_alive:
                lines.append(b"Connection: close")
            elif not self.is_http_1_1:
                lines.append(b"Connection: keep-alive")
        lines.append(b"\r\n")
        self._unsent = b"\r\n".join(lines)
        self.started = True

    def write(self, chunk: bytes) -> None:
        """Send a piece of content; ``drain`` before the next where ``is_full``.

        Raises:
            ClientGone: it closed the connection.
        """
        self.bytes_sent += len(chunk)
        chunk = self._framed(chunk)
        if self._unsent:
            chunk, self._unsent = self._unsent + chunk, b""
        if chunk:
            self._transmit(chunk)

    def finish(self) -> None:
        """End the answer."""
        end = self._unsent + b"0\r\n\r\n" if self._chunked else self._unsent
        self._unsent = b""
        if end:
            self._transmit(end)
        self.is_finished = True

    def finish_with(self, content: bytes, write_batch: WriteBatch) -> None:
        """End an answer that begins with this piece of content, or is all of it.

        Raises:
            ClientGone: it closed the connection.
        """
        self.bytes_sent += len(content)
        end = b"0\r\n\r\n" if self._chunked else b""
        data, self._unsent = self._unsent + self._framed(content) + end, b""
        transport = self.protocol.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        write_batch.write(transport, data)
        self.is_finished = True

    def flush(self) -> None:
        """Send the head now, when its content may take a while to come."""
        self.write(b"")

    @property
    def is_full(self) -> bool:
        """The client takes less than it is sent."""
        return self.protocol.writing_paused

    async def drain(self) -> None:
        """Wait while the client does not take what it was sent.

        Raises:
            ClientGone: it closed the connection, or took nothing for ``idle_seconds``.
        """
        if self.protocol.writing_paused:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    await StreamWriter(self.protocol, asyncio.get_running_loop()).drain()
            except (TimeoutError, ConnectionError):
                raise ClientGone from None

    def cut(self) -> None:
        """End the connection in the middle of the answer, so that it cannot seem complete."""
        self.is_cut = True
        self._keep_alive = False
        if self.protocol.transport is not None:
            reset(self.protocol.transport)

    def close_after_response(self) -> None:
        """Keep the connection for no further request."""
        self._keep_alive = False

    @property
    def keeps_connection(self) -> bool:
        """Whether another request may follow."""
        return self._keep_alive

    def _cancel(self, reason: BaseException) -> None:
        """What aiohttp calls when the connection is lost."""
        self.spoil(reason)

    def _framed(self, content: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(content), content) if self._chunked and content else content

    def _transmit(self, data: bytes) -> None:
        transport = self.protocol.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        transport.write(data)

    def _continue(self) -> None:
        transport = self.protocol.transport
        if self._awaits_continue and not self.started and transport is not None:
            self._awaits_continue = False
            if (value(self.fields, b"expect") or b"").lower() == b"100-continue":
                transport.write(_CONTINUE)
