"""What comes on a client's connection, before it is a request: parsed portion by portion.

aiohttp parses it. This module and ``connection`` lean on its internals, so a minor release of
aiohttp is admitted only with their tests passing.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from gateway.downstream.parse_errors import HeadTooLong
from gateway.downstream.portions import LINES, Chunks, Overhead, next_piece
from gateway.errors import FieldsTooLarge
from gateway.protocols.http.framing import LENGTH_DIGITS

# Each time, finding it by super() takes longer than all that is done here.
_feed = web.RequestHandler.data_received
DROPPED_SECONDS = 0.01
"""The gap between two reads of what is only dropped, so that its sender gets to see why."""


class Inbound(web.RequestHandler):
    """Parses what comes and bounds it. ``_messages`` has the requests whose heads are complete.

    Of what was read only a portion is parsed in one iteration of the event loop; nothing more is
    read before all of it has been.
    """

    __slots__ = (
        "_chunks",
        "_fields_bytes",
        "_filling",
        "_goes_on",
        "_is_overlong",
        "_length",
        "_overhead",
        "_parsed",
        "_rest",
    )

    def __init__(self, server: web.Server, fields_bytes: int, **options: object) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)  # type: ignore[arg-type]
        self._fields_bytes = fields_bytes
        self._chunks = Chunks()
        self._overhead = Overhead(self.max_line_size + fields_bytes)
        self._filling = EMPTY_PAYLOAD
        """The content of the last request, which may still be coming."""
        self._length = 0
        """What that has in all, 0 where it comes in chunks."""
        self._is_overlong = False
        self._rest = b""
        """What was read and not yet parsed, from ``_parsed`` on. Nothing is read meanwhile."""
        self._parsed = 0
        self._goes_on = False
        """Once the others have had their turn."""

    def _on_parsed(self, *, is_awaited: bool) -> None:
        """There may be messages; ``is_awaited``: nothing else is being done."""
        raise NotImplementedError

    def connection_lost(self, exc: BaseException | None) -> None:
        # It refers to this connection.
        self._filling = EMPTY_PAYLOAD
        self._rest = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_overlong:
            self._pause_transport_reading()
            self._go_on_soon(DROPPED_SECONDS)
            return
        if not data:
            # aiohttp has room for more messages, or content.
            self._parse(data)
            self._go_on_soon()
        elif self._rest:
            self._rest = self._rest[self._parsed :] + data
            self._parsed = 0
        else:
            end = self._parse_portion(data, 0)
            if end < len(data):
                self._rest, self._parsed = data, end
                self._pause_transport_reading()
                self._go_on_soon()

    def _parse_portion(self, data: bytes, start: int) -> int:
        """Parse what may be parsed at once; where it ends."""
        lines = 0
        while start < len(data) and lines < LINES and not self._is_held:
            if self._upgraded:
                self._parse(data[start:])
                return len(data)
            end, more = self._next_piece(data, start)
            self._parse(data[start:end])
            lines += more
            start = len(data) if self._is_overlong else end
        return start

    def _next_piece(self, data: bytes, start: int) -> tuple[int, int]:
        if self._filling.is_eof():
            return next_piece(data, start)
        if self._length:
            # Content whose length is known has no lines, whatever is in it.
            return min(start + self._length - self._filling.total_bytes, len(data)), 0
        return self._chunks.next_piece(data, start)

    def _go_on_soon(self, seconds: float = 0.0) -> None:
        if not self._goes_on:
            self._goes_on = True
            self._loop.call_later(seconds, self._go_on_reading)

    def _go_on_reading(self) -> None:
        """Parse another portion, or read on, after all other connections have had their turn."""
        self._goes_on = False
        if self._rest:
            self._parsed = self._parse_portion(self._rest, self._parsed)
            if self._parsed >= len(self._rest):
                self._rest = b""
        if self._is_held:
            return
        if self._rest:
            self._go_on_soon()
        else:
            super()._resume_transport_reading()

    @property
    def _is_held(self) -> bool:
        """No room for more messages, or content: there may be some in the parser."""
        return self._reading_paused or self._buffer_paused

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp calls it for each piece of content that is taken, also if it had not paused.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _resume_transport_reading(self) -> None:
        """Go on, which to aiohttp is to read: first comes what was read."""
        if self._rest or self._is_overlong:
            self._go_on_soon()
        else:
            super()._resume_transport_reading()

    def _parse(self, data: bytes) -> None:
        waiter, self._waiter = self._waiter, None
        count = self._request_count
        _feed(self, data)
        self._waiter = waiter
        if self._request_count == count:
            self._bound(len(data))
        else:
            self._overhead.begin()
            self._chunks.begin()
            message, self._filling = self._messages[-1]
            self._length = 0
            if self._filling is not EMPTY_PAYLOAD and not isinstance(message, _ErrInfo):
                length = message.headers.get("Content-Length", "")
                # What has more digits is refused.
                self._length = int(length or 0) if len(length) <= LENGTH_DIGITS else 0
        self._on_parsed(is_awaited=waiter is not None)

    def _bound(self, received: int) -> None:
        """Take no more of a head, of trailers or of framing that has too much.

        aiohttp bounds each line of a head and their number, but not what they have together, and
        keeps all.
        """
        content = self._filling.total_bytes
        is_too_much = self._overhead.add(received, content, is_parsed=not self._is_held)
        if is_too_much and not (self._upgraded or self._close):
            self._is_overlong = True
            error = HeadTooLong(FieldsTooLarge.than(self._fields_bytes).message)
            self._messages.append((_ErrInfo(431, error, error.message), EMPTY_PAYLOAD))
