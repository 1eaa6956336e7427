"""Responses read from the bytes of one connection, one at a time, parsed by llhttp. No I/O.

After any doubt about where a message ends the connection must be closed (RFC 9112, 9.3).
``response_state`` has the states and a picture of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httptools

from gateway.errors import BadGateway, ContentCut
from gateway.protocols.http.fields import has, keep_alive_seconds, lowered
from gateway.upstream.messages import response_state as states
from gateway.upstream.messages.field_lines import SpacedHead, has_spaced_name
from gateway.upstream.messages.messages import Head, passable_reason
from gateway.upstream.messages.received_content import ReceivedContent
from gateway.upstream.messages.response_framing import UNFRAMED, framing_of, without_framing
from gateway.upstream.messages.response_state import Moves, ResponseState

if TYPE_CHECKING:
    from gateway.errors import Field

HEAD_BYTES: Final = 64 * 1024
"""The largest head that is accepted, and the largest trailer section or chunk extension."""


class StaleConnection(Exception):
    """A kept connection that the upstream closed before it answered anything."""


class ResponseReader:
    """Reads the responses on one connection; ``expect`` begins each."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.served = 0
        """Responses that were expected so far."""
        self.keepalive_hint: float | None = None
        """Seconds for which the upstream says it keeps the connection."""
        self.content = ReceivedContent()
        """Content of the response that nobody took yet."""
        self._head: list[bytes] = []
        """Bytes received of a head, until it is complete."""
        self._to_mend: SpacedHead | None = None
        """A head that the parser refused, until it is all there."""
        self.state: ResponseState = states.IDLE
        self._begin("", upgrade=False)

    def _begin(self, method: str, *, upgrade: bool) -> None:
        self._method = method
        self._upgrade = upgrade
        self._head_bytes = 0
        self._framing_bytes = 0
        """Received since the last content."""
        self._reason = b""
        self._fields: list[Field] = []
        self._had_interim = False
        self._until_close = False
        self._is_doubtful = False
        if self.content.size:
            self.content.drop()
        self.head: Head | None = None
        """The response's, once it has arrived."""
        self.failure: Exception | None = None
        """The reason for which there will be no more of the response, in ``FAILED`` only."""

    @property
    def is_complete(self) -> bool:
        """The whole response has arrived, though it may not have been taken."""
        return self.state is states.WHOLE or self.state is states.SPENT

    @property
    def is_reusable(self) -> bool:
        """It ended where it said, and the connection may be kept."""
        return self.state is states.WHOLE

    def _move(self, event: Moves) -> None:
        after = event.get(self.state)
        assert after is not None, f"a response that is {self.state} makes no such move"
        self.state = after

    def expect(self, method: str, *, upgrade: bool = False) -> None:
        """A request was sent, one that may change protocols if ``upgrade``."""
        self._move(states.REQUEST)
        self.served += 1
        self._begin(method, upgrade=upgrade)

    def feed(self, data: bytes) -> bool:
        """Read bytes; returns whether the connection must be closed. Where nothing is expected it
        must."""
        state = self.state
        if state is states.AWAITED:
            self._feed_head(data)
        elif state is states.CONTENT:
            self._feed_content(data)
        elif state is states.TUNNEL:
            self.content.add(data)
        else:
            self._move(states.SURPLUS)
            return True
        return self.state is states.SPENT or self.state is states.FAILED

    def _feed_head(self, data: bytes) -> None:
        self._head_bytes += len(data)
        if self._to_mend is not None:
            self._mend(self._to_mend, data)
            return
        self._head.append(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switched:
            self._tunnel(data[switched.args[0] :])
        except httptools.HttpParserError:
            received = b"".join(self._head)
            if self.state is states.AWAITED and has_spaced_name(received):
                self._to_mend = SpacedHead()
                self._mend(self._to_mend, received)
            else:
                self._garbled()
        else:
            if self.state is states.AWAITED and self._head_bytes > HEAD_BYTES:
                self._garbled()

    def _feed_content(self, data: bytes) -> None:
        size = self.content.size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Behind the response.
            self._move(states.SURPLUS)
        except httptools.HttpParserError:
            self._garbled()
        else:
            # The parser keeps what it reads of a trailer's name and value.
            has_content = self.content.size != size
            self._framing_bytes = 0 if has_content else self._framing_bytes + len(data)
            if self._framing_bytes > HEAD_BYTES and self.state is states.CONTENT:
                self._garbled()

    def _mend(self, spaced: SpacedHead, data: bytes) -> None:
        """Read a head once more, without the spaces before its colons, when it is all there."""
        mended = spaced.mended(data)
        if mended is None:
            if self._head_bytes > HEAD_BYTES:
                self._garbled()
            return
        self._to_mend = None
        self._parser = httptools.HttpResponseParser(self)
        self._reason, self._fields = b"", []
        try:
            self._parser.feed_data(mended)
        except httptools.HttpParserUpgrade as switched:
            self._tunnel(mended[switched.args[0] :])
        except httptools.HttpParserError:
            self._garbled()

    def feed_eof(self) -> None:
        """The upstream sends no more, which ends a response of unknown length."""
        is_end = self.state is states.CONTENT and self._until_close
        if is_end or self.state is states.TUNNEL:
            self._move(states.END)

    def lost(self) -> None:
        """The connection is gone."""
        # This one and the parser would keep each other until the collector comes, which is rare.
        self._parser = httptools.HttpResponseParser(None)
        if self.state is not states.AWAITED:
            self.fail(ContentCut("the upstream closed the connection within its response"))
        elif self.served > 1 and not self._head_bytes:
            self.fail(StaleConnection())
        else:
            self.fail(BadGateway("The upstream closed the connection without an answer"))

    def fail(self, failure: Exception) -> None:
        """End the response with ``failure``, unless it has ended before; the connection with it."""
        had_failed = self.state is states.FAILED
        self._move(states.BREAK)
        if self.state is states.FAILED and not had_failed:
            self.failure = failure

    def take(self) -> bytes | None:
        """The content that has arrived, empty at the end of the response, None if it is to come;
        raises the failure of the response where there is no more."""
        if self.content.size:
            return self.content.take()
        if self.is_complete:
            return b""
        if self.failure is not None:
            raise self.failure
        return None

    def take_all(self) -> bytes | None:
        """All content of a response that is complete; None where more is to come, or nothing."""
        return self.content.take_all() if self.is_complete else None

    def _garbled(self) -> None:
        if self.state is states.AWAITED:
            self.fail(BadGateway("The upstream's answer is not HTTP"))
        else:
            self.fail(ContentCut("the upstream's content is not framed as HTTP says"))

    def _tunnel(self, rest: bytes) -> None:
        """Go on behind a head with Upgrade, if it switches protocols; else there is no more."""
        if rest and self.state is states.TUNNEL:
            self.content.add(rest)

    # --- llhttp's callbacks, named by httptools

    def on_status(self, reason: bytes) -> None:
        self._reason = self._reason + reason if self._reason else reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:  # else it is a trailer
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.state is not states.AWAITED:
            # A second response to one request: the peer and we disagree where messages end.
            self._move(states.SURPLUS)
            return
        if status == 101 and not (self._upgrade and self._parser.should_upgrade()):
            # Without Upgrade and Connection, too, nothing was agreed on (RFC 9110, 7.8).
            self.fail(BadGateway("The upstream changed protocols unasked"))
            return
        if 100 <= status < 200 and status != 101:
            self._had_interim = True
            self._reason, self._fields = b"", []
            return
        # The parser makes its version anew each time, which takes longer than all else here.
        is_usual = not self._had_interim and self._head[0].startswith(b"HTTP/1.1 ")
        if not is_usual and not self._begins_with_http():
            # llhttp takes ICE/1.0 and RTSP/1.0 for the same.
            self.fail(BadGateway("The upstream's answer is not HTTP"))
            return
        fields = self._fields
        names = lowered(fields)
        try:
            version = "1.1" if is_usual else self._parser.get_http_version()
            framing = framing_of(self._method, status, version, fields, names)
        except BadGateway as failure:
            self.fail(failure)
            return
        self._until_close = framing.until_close
        self._is_doubtful = framing.is_doubtful
        if has(names, b"keep-alive"):
            self.keepalive_hint = keep_alive_seconds(fields)
        if status in UNFRAMED:
            fields = without_framing(fields, names)
        reason = passable_reason(self._reason, status)
        self.head = Head(status, reason, fields, names, framing.length)
        self._head = []
        self._move(states.SWITCH if status == 101 else states.HEAD)
        if self._method == "HEAD":
            # llhttp would wait for the content that a HEAD's response only announces.
            self._complete()
            self._parser = httptools.HttpResponseParser(self)

    def _begins_with_http(self) -> bool:
        """True if the head does, however it was split, behind empty lines that llhttp skips."""
        return b"".join(self._head).lstrip(b"\r\n").startswith(b"HTTP/")

    def on_body(self, data: bytes) -> None:
        if self.state is states.CONTENT:
            self.content.add(data)
        else:
            self._move(states.SURPLUS)

    def on_message_complete(self) -> None:
        # Else it is an interim response, a tunnel's head, or a message behind the response.
        if self.state is states.CONTENT:
            self._complete()

    def _complete(self) -> None:
        is_kept = self._parser.should_keep_alive() and not self._is_doubtful
        self._move(states.COMPLETE if is_kept else states.END)
