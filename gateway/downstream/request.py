"""One request of a client, and the response to it.

The response's head is written as bytes and its content handed to the transport as it came, so that
field order, case and multiplicity stay. The connection itself is ``connection``'s.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from gateway.errors import BadRequest, ContentTooLarge, Field, RequestTimeout, Response
from gateway.protocols.http.fields import first, has, value
from gateway.protocols.http.response_head import REASONS, completed, has_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.downstream.content import RequestContent
    from gateway.downstream.listening.places import Places
    from gateway.downstream.messages.request_head import RequestHead
    from gateway.downstream.peer import Peer
    from gateway.upstream.connections.write_batch import WriteBatch

PIECE_BYTES: Final = 64 * 1024
"""So much of a response that is held as a whole is handed to the transport at a time."""
_UNBOUNDED: Final = sys.maxsize
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Client:
    """``content`` is None where there is none.

    ``target`` is as it came on the request line; ``address`` is the peer's, without its port.
    ``idle_seconds`` bounds each wait for the client to take what it is sent.
    """

    __slots__ = (
        "_awaits_continue",
        "_chunked",
        "_content",
        "_idle_seconds",
        "_keep_alive",
        "_peer",
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
        "scheme",
        "started",
        "target",
        "version",
    )

    def __init__(
        self,
        head: RequestHead,
        content: RequestContent | None,
        peer: Peer,
        places: Places,
        idle_seconds: float,
    ) -> None:
        self._content = content
        self._peer = peer
        self._places = places
        self._idle_seconds = idle_seconds
        self._keep_alive = head.keeps_alive
        self._chunked = False
        self._unsent = b""
        self.method = head.method
        self.target = head.target
        self.fields = head.fields
        self.names = head.names
        """The fields' names in lower case."""
        self.scheme = peer.scheme
        self.has_content = content is not None
        self.version = head.version
        self.is_http_1_1 = head.version == (1, 1)
        self.address = peer.address
        self.started = False
        """The response has begun: nothing but its content, or a cut, can follow."""
        self.is_finished = False
        """All of the response was handed to the transport."""
        self.is_cut = False
        """We ended the connection, not the client."""
        self.bytes_received = 0
        self.bytes_sent = 0
        self.content_bytes = _UNBOUNDED
        """The most content that is read."""
        self.added: tuple[Field, ...] = ()
        """Fields that the response gets, whoever gives it, unless it leads elsewhere."""
        self._awaits_continue = self.has_content and self.is_http_1_1 and has(self.names, b"expect")

    @property
    def host(self) -> bytes:
        """The value of ``Host``, empty without one."""
        return first(self.fields, self.names, b"host") or b""

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
        content = self._content
        if content is None:
            return b""
        if self._awaits_continue and not content.is_at_hand:
            self._continue()
        try:
            chunk = await content.read()
        except (BadRequest, RequestTimeout):
            self._keep_alive = False
            raise
        self.bytes_received += len(chunk)
        if self.bytes_received > self.content_bytes:
            self._keep_alive = False
            raise ContentTooLarge.than(self.content_bytes)
        return chunk

    async def send(self, response: Response) -> None:
        """Send a whole response."""
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
        """Begin the response. ``fields`` are end-to-end; the framing that is missing is added.

        ``is_sized``: the content's length is among the fields, or there is no content.
        The head is held back until the first content, so that a small response is one packet.
        """
        lines = [b"HTTP/1.1 %d %b" % (status, reason)]
        for name, content in fields:
            lines.append(b"%b: %b" % (name, content))
        if self.added and not 300 <= status < 400:
            lines += [b"%b: %b" % (name, content) for name, content in self.added]
        if not is_sized and has_content(self.method, status):
            if self.is_http_1_1:
                self._chunked = True
                lines.append(b"Transfer-Encoding: chunked")
            else:
                self._keep_alive = False
        if self._awaits_continue and self._content is not None and not self._content.is_complete:
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
            self._peer.write(chunk)

    def finish(self) -> None:
        """End the response."""
        end = self._unsent + b"0\r\n\r\n" if self._chunked else self._unsent
        self._unsent = b""
        if end:
            self._peer.write(end)
        self.is_finished = True

    def finish_with(self, content: bytes, write_batch: WriteBatch) -> None:
        """End a response that begins with this piece of content, or is all of it.

        Raises:
            ClientGone: it closed the connection.
        """
        self.bytes_sent += len(content)
        data, self._unsent = self._unsent + self._framed(content), b""
        self._peer.write(data + b"0\r\n\r\n" if self._chunked else data, write_batch)
        self.is_finished = True

    def flush(self) -> None:
        """Send the head now, when its content may take a while to come."""
        self.write(b"")

    @property
    def is_full(self) -> bool:
        """The client takes less than it is sent."""
        return self._peer.is_full

    async def drain(self) -> None:
        """Wait while the client does not take what it was sent.

        Raises:
            ClientGone: it closed the connection, or took nothing for ``idle_seconds``.
        """
        await self._peer.drain(self._idle_seconds)

    def cut(self) -> None:
        """End the connection in the middle of the response, so that it cannot seem complete."""
        self.is_cut = True
        self._keep_alive = False
        self._peer.reset()

    def close_after_response(self) -> None:
        """Keep the connection for no further request."""
        self._keep_alive = False

    @property
    def keeps_connection(self) -> bool:
        """Whether another request may follow."""
        return self._keep_alive

    def switch(self, receive: Callable[[bytes], None]) -> None:
        """Have ``receive`` called with all that comes, behind a 101."""
        self._peer.switch(receive)

    def pause_reading(self) -> None:
        """Take no more from the client until ``resume_reading``."""
        self._peer.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading, if the client is still there."""
        self._peer.resume_reading()

    def _framed(self, content: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(content), content) if self._chunked and content else content

    def _continue(self) -> None:
        """Tell a client that expects it that its content is wanted (RFC 9110, 10.1.1)."""
        self._awaits_continue = False
        if (
            not self.started
            and (first(self.fields, self.names, b"expect") or b"").lower() == b"100-continue"
        ):
            self._peer.write(_CONTINUE)
