"""What an upstream's bytes say: answers to requests, one at a time, parsed by llhttp. No I/O.

After any doubt about where a message ends the connection must be closed (RFC 9112, 9.3):
``is_reusable`` is then false.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import httptools

from gateway.errors import BadGateway, ContentCut
from gateway.fields import keep_alive_seconds, lowered
from gateway.upstream.messages import Head

if TYPE_CHECKING:
    from gateway.errors import Field

HEAD_BYTES = 64 * 1024
"""The largest answer head that is accepted."""
NO_CONTENT = frozenset({204, 304})
"""Statuses whose answers have no content (RFC 9110, 6.4.1)."""


class StaleConnection(Exception):
    """A kept connection was closed by the upstream before it answered anything."""


class AnswerReader:
    """Reads the answers on one connection; ``expect`` begins each."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._served = 0
        self.keepalive_hint: float | None = None
        """How long the upstream says it keeps the connection, in seconds."""
        self.chunks: deque[bytes] = deque()
        """Content that nobody took yet."""
        self._begin("", upgrade=False)
        self.is_complete = True

    def _begin(self, method: str, *, upgrade: bool) -> None:
        self._method = method
        self._upgrade = upgrade
        self._raw = False
        self._head_bytes = 0
        self._reason = b""
        self._fields: list[Field] = []
        self._until_close = False
        if self.chunks:
            self.chunks = deque()
        self.buffered = 0
        """Its length in bytes."""
        self.head: Head | None = None
        """The answer's, once it has arrived."""
        self.failure: Exception | None = None
        """Why there will be no more of the answer."""
        self.is_complete = False
        """The whole answer has arrived, though it may not have been taken."""
        self.is_reusable = False
        """It ended where it said, and the connection may be kept."""

    def expect(self, method: str, *, upgrade: bool = False) -> None:
        """A request was sent, one that may change protocols if ``upgrade``."""
        self._served += 1
        self._begin(method, upgrade=upgrade)

    def feed(self, data: bytes) -> None:
        """Read bytes. What comes where nothing is expected makes the connection unusable."""
        if self._raw:
            self.on_body(data)
            return
        if self.is_complete:
            self.is_reusable = False
            return
        if self.head is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switched:
            self._switch(data[switched.args[0] :])
        except httptools.HttpParserError:
            self._garbled()
        else:
            if self.head is None and self._head_bytes > HEAD_BYTES:
                self._garbled()

    def feed_eof(self) -> None:
        """The upstream sends no more, which ends an answer of unknown length."""
        if self._raw or (self._until_close and self.head is not None):
            self.is_complete = True

    def lost(self) -> None:
        """The connection is gone."""
        # This one and the parser would keep each other until the collector comes, which is rare.
        self._parser = httptools.HttpResponseParser(None)
        self.is_reusable = False
        if self.is_complete or self.failure is not None:
            return
        if self.head is not None:
            self.failure = ContentCut("the upstream closed the connection within its answer")
        elif self._served > 1 and not self._head_bytes:
            self.failure = StaleConnection()
        else:
            self.failure = BadGateway("The upstream closed the connection without an answer")

    def take(self) -> bytes | None:
        """The content that has arrived, empty at the end of the answer, None if it is to come.

        Raises:
            ContentCut: the content ended early.
        """
        if self.chunks:
            chunk = self.chunks.popleft()
            self.buffered -= len(chunk)
            return chunk
        if self.is_complete:
            return b""
        if self.failure is not None:
            raise self.failure
        return None

    def _garbled(self) -> None:
        if self.failure is None:
            self.failure = (
                BadGateway("The upstream's answer is not HTTP")
                if self.head is None
                else ContentCut("the upstream's content is not framed as HTTP says")
            )

    def _switch(self, rest: bytes) -> None:
        """The upstream changed protocols (RFC 9110, 7.8): what follows is passed on as it is."""
        if self.head is None or self.head.status != 101:
            # Unasked, or behind the answer.
            return
        self._raw = True
        if rest:
            self.on_body(rest)

    # --- llhttp's callbacks, named by httptools

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:  # else it is a trailer
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.is_complete or self.failure is not None:
            # A second answer to one request: the peer and we disagree where messages end.
            self.is_reusable = False
            return
        if status == 101 and not (self._upgrade and self._parser.should_upgrade()):
            # Without Upgrade and Connection, too, nothing was agreed on (RFC 9110, 7.8).
            self.failure = BadGateway("The upstream changed protocols unasked")
            return
        if status < 100:
            self.failure = BadGateway("The upstream's answer has no status of HTTP")
            return
        if status < 200 and status != 101:
            self._reason, self._fields = b"", []
            return
        fields = self._fields
        names = lowered(fields)
        coding = b""
        if b"transfer-encoding" in names:
            coding = fields[names.index(b"transfer-encoding")][1].lower()
            if coding != b"chunked" or names.count(b"transfer-encoding") > 1:
                self.failure = BadGateway("The upstream's answer has a coding not understood")
                return
        length = None
        if b"content-length" in names:
            length = int(fields[names.index(b"content-length")][1])
        bodiless = self._method == "HEAD" or status in NO_CONTENT
        self._until_close = length is None and not coding and not bodiless
        if b"keep-alive" in names:
            self.keepalive_hint = keep_alive_seconds(fields)
        self.head = Head(status, self._reason, fields, names, None if bodiless else length)
        if self._method == "HEAD":
            # llhttp would wait for the content that a HEAD's answer only announces.
            self._complete()
            self._parser = httptools.HttpResponseParser(self)

    def on_body(self, data: bytes) -> None:
        if self.is_complete:
            self.is_reusable = False
            return
        self.chunks.append(data)
        self.buffered += len(data)

    def on_message_complete(self) -> None:
        head = self.head
        if head is not None and head.status != 101 and not self.is_complete:
            self._complete()

    def _complete(self) -> None:
        self.is_complete = True
        self.is_reusable = self._parser.should_keep_alive()
