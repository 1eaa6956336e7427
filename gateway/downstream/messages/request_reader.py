"""Reads a client's bytes as requests, one at a time, parsed by llhttp. No I/O.

``read`` takes one portion of what was received and says where it ends; it never goes beyond the end
of a head, or of a request's content. So what is wrong further on harms no request before it, and
the next request is looked at when this one was answered: ``begin`` is called then.

    begin --> read ... --> head --> read ... --> is_complete --> begin
                 |                     |
                 +----> failure <------+

No leniency of llhttp is switched on, and ``request_head`` is stricter than llhttp. llhttp takes a
request with ``Upgrade`` for one without content: such content is read by a second parser, which is
told its framing only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

import httptools

from gateway.downstream.messages.parse_errors import malformed, unknown_method
from gateway.downstream.messages.portions import Chunks, Overhead, first_line, section_end
from gateway.downstream.messages.request_head import NO_METHOD, SINGLE, RequestHead, completed_head
from gateway.errors import BadRequest, FieldsTooLarge, GatewayError, TargetTooLong

if TYPE_CHECKING:
    from gateway.errors import Field

MOST_FIELDS: Final = 256
"""Field lines of a request."""
_SPACE: Final = ord(" ")


class _Refused(Exception):
    """Ends the parser's work; ``failure`` says why."""


class RequestReader:
    """``target_bytes`` bounds a request's target, and both together a whole head, or trailers."""

    __slots__ = (
        "_chunks",
        "_fields",
        "_fields_bytes",
        "_is_told",
        "_left",
        "_overhead",
        "_parser",
        "_received",
        "_target",
        "_target_bytes",
        "content",
        "failure",
        "has_begun",
        "head",
        "is_complete",
        "method",
        "received_bytes",
    )

    def __init__(self, target_bytes: int, fields_bytes: int) -> None:
        self._target_bytes = target_bytes
        self._fields_bytes = fields_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._received = b""
        """What came of a head until now."""
        self._target = b""
        self._fields: list[Field] = []
        self._overhead: Overhead | None = None
        self._chunks: Chunks | None = None
        """Follows content that comes in chunks."""
        self._left = 0
        """How much of sized content is still to come."""
        self._is_told = False
        """The parser is being told the framing of content."""
        self.head: RequestHead | None = None
        """The request's, once it has arrived."""
        self.content: list[bytes] = []
        """Pieces that nobody took yet."""
        self.received_bytes = 0
        """How much content came in all."""
        self.has_begun = False
        """Something of a head has come, but for empty lines, and not all of it."""
        self.is_complete = False
        """The whole request has arrived."""
        self.failure: GatewayError | None = None
        """Why the rest of the request cannot be read, nor anything behind it."""
        self.method = NO_METHOD
        """The method that a request was refused for."""

    def bound(self, target_bytes: int, fields_bytes: int) -> None:
        """Have other bounds, for what is still to be read."""
        self._target_bytes = target_bytes
        self._fields_bytes = fields_bytes

    def begin(self) -> None:
        """Expect another request, behind one that is complete."""
        assert self.is_complete, "a request ends before the next one begins"
        assert self.failure is None, "nothing can be read behind a failure"
        self._target, self._fields = b"", []
        self._overhead = self._chunks = None
        self.head = None
        self.received_bytes = 0
        self.has_begun = self.is_complete = False

    def read(self, data: bytes, start: int) -> int:
        """Read a portion of ``data`` that begins at ``start``; where it ends."""
        assert not self.is_complete, "what follows is the next request's"
        assert self.failure is None, "nothing can be read behind a failure"
        return (
            self._read_head(data, start) if self.head is None else self._read_content(data, start)
        )

    def take(self) -> list[bytes]:
        """The content that has come since this was last called."""
        content, self.content = self.content, []
        return content

    def lost(self) -> None:
        """Nothing comes any more."""
        # This one and the parser would keep each other until the collector comes, which is rare.
        self._parser = httptools.HttpRequestParser(None)
        self._received = b""
        self.content = []

    def _read_head(self, data: bytes, start: int) -> int:
        end = self._head_end(data, start)
        piece = data if start == 0 and end == len(data) else data[start:end]
        self._received = self._received + piece if self._received else piece
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._go_on_behind_upgrade()
        except httptools.HttpParserError as cause:
            self.head = None
            if self.failure is None:
                method = unknown_method(cause, self._received)
                self.failure = malformed(method)
                self.method = method or NO_METHOD
        else:
            if self.head is None:
                self._bound_head(len(piece))
        if self.head is not None:
            self._received = b""
        return end

    def _head_end(self, data: bytes, start: int) -> int:
        """Where the head ends, or else as much as a head may have. Empty lines before it end
        nothing (RFC 9112, 2.2)."""
        most = start + self._target_bytes + self._fields_bytes + 1
        if self.has_begun:
            end = section_end(self._received[-3:], data, start, most)
        else:
            end = section_end(b"", data, first_line(data, start, most), most)
        return min(most, len(data)) if end < 0 else end

    def _bound_head(self, received: int) -> None:
        self.has_begun = self.has_begun or bool(self._received.strip(b"\r\n"))
        if self._overhead is None:
            self._overhead = Overhead(self._target_bytes + self._fields_bytes)
        if self._overhead.add(received, 0):
            self.failure = FieldsTooLarge.than(self._fields_bytes)

    def _go_on_behind_upgrade(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        head = self.head
        if head is not None and head.has_content and head.method != "CONNECT":
            self.is_complete = False
            self._is_told = True
            self._parser.feed_data(head.framing())
            self._is_told = False

    def _read_content(self, data: bytes, start: int) -> int:
        if self._chunks is None:
            end = min(start + self._left, len(data))
            self._left -= end - start
        else:
            end, _ = self._chunks.next_piece(data, start)
        try:
            self._parser.feed_data(data if end - start == len(data) else data[start:end])
        except httptools.HttpParserError:
            self.failure = BadRequest("The request's content is not framed as HTTP says")
        else:
            if self._overhead is not None and self._overhead.add(end - start, self.received_bytes):
                self.failure = BadRequest("The request's content has too much framing")
        return end

    def _refuse(self, failure: GatewayError) -> NoReturn:
        self.failure = failure
        raise _Refused

    # --- llhttp's callbacks, named by httptools; with a head they are about its content

    def on_url(self, part: bytes) -> None:
        if self.head is None:
            self._target = self._target + part if self._target else part
            if len(self._target) > self._target_bytes:
                message = f"The request target has more than {self._target_bytes} bytes"
                self._refuse(TargetTooLong(message))

    def on_header(self, name: bytes, value: bytes) -> None:
        head = self.head
        if head is None:
            if value and value[-1] <= _SPACE:
                # llhttp leaves the white space behind a value (RFC 9112, 5.1).
                value = value.rstrip(b" \t")
            self._fields.append((name, value))
            if len(self._fields) > MOST_FIELDS:
                self._refuse(FieldsTooLarge(f"The request has more than {MOST_FIELDS} fields"))
        elif not self._is_told and (trailer := name.lower()) in SINGLE and trailer in head.names:
            # Others could take the trailer for the field.
            raise _Refused

    def on_headers_complete(self) -> None:
        if self.head is not None:
            return
        parser = self._parser
        try:
            head = completed_head(
                self._received,
                parser.get_method(),
                self._target,
                self._fields,
                keeps_alive=parser.should_keep_alive(),
            )
        except BadRequest as failure:
            self._refuse(failure)
        self.head = head
        self._overhead = None
        if head.is_chunked:
            self._chunks = Chunks()
            self._overhead = Overhead(self._target_bytes + self._fields_bytes)
        else:
            self._left = head.length

    def on_body(self, data: bytes) -> None:
        self.content.append(data)
        self.received_bytes += len(data)

    def on_message_complete(self) -> None:
        self.is_complete = True
