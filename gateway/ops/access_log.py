"""One line per request, as JSON or ``key=value`` text.

Lines are kept in memory and written in pieces that a pipe takes without blocking, so a reader that
stands still costs lines, never requests.
"""

from __future__ import annotations

import logging
import os
import re
import select
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import msgspec

from gateway.redaction import SHOWN_CHARACTERS, redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from gateway.exchange import Exchange

_log = logging.getLogger(__name__)
CAPACITY_BYTES = 1024 * 1024
WRITE_BYTES = 16 * 1024
"""As much is written at once without waiting for the owner's ``flush``."""
PIECE_BYTES = 4096
"""POSIX: what a writable pipe takes whole, never mixed with other writers' lines (PIPE_BUF)."""
CLOSE_MILLISECONDS = 1000
_WORD_CHARACTERS = 128
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{0,45}")
_UNSAFE = re.compile(r'[^!-~]|["\\]')


class Line(msgspec.Struct, frozen=True):
    """What is logged of a request. All text is visible ASCII without quotes and backslashes."""

    time: str
    """When it ended: RFC 3339, UTC."""
    request_id: str
    kind: str
    method: str
    target: str
    status: int
    outcome: str
    bytes_in: int
    bytes_out: int
    handling_seconds: float
    held_seconds: float
    job_id: str
    client: str


def text(line: Line) -> bytes:
    """``key=value`` pairs; ``-`` for what is empty."""
    pairs = ((name, getattr(line, name)) for name in Line.__struct_fields__)
    return " ".join(f"{name}={value if value != '' else '-'}" for name, value in pairs).encode()


class AccessLog:
    """Writes a line for each request observed; ``wall_clock`` gives seconds since 1970.

    Its owner calls ``flush`` at least each second, and ``close`` at the end.
    """

    def __init__(
        self,
        stream: TextIO,
        form: Literal["json", "text"],
        wall_clock: Callable[[], float],
        capacity_bytes: int = CAPACITY_BYTES,
    ) -> None:
        self._sink = _Sink(stream)
        self._encode: Callable[[Line], bytes] = (
            msgspec.json.Encoder().encode if form == "json" else text
        )
        self._wall_clock = wall_clock
        self._capacity_bytes = capacity_bytes
        self._second = -1
        self._prefix = ""
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._write_at = WRITE_BYTES
        self._unreported = 0
        self.dropped = 0
        """Lines lost so far because they could not be written fast enough, or at all."""

    def observe(self, exchange: Exchange) -> None:
        """Log a request that is over."""
        line = self._encode(self._line(exchange)) + b"\n"
        if self._bytes + len(line) > self._capacity_bytes:
            self._drop(1)
            return
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= self._write_at:
            self.flush()

    def flush(self, patience_milliseconds: int = 0) -> None:
        """Write what can be written without waiting longer than that."""
        while self._lines and self._sink.is_writable(patience_milliseconds):
            piece, count = self._piece()
            if not self._sink.write(piece):
                self._drop(count)
        self._write_at = self._bytes + WRITE_BYTES
        if self._unreported and not self._lines:
            _log.warning("%d access log lines dropped", self._unreported)
            self._unreported = 0

    def close(self) -> None:
        """Write what is left, waiting a second at most for a reader that stands still."""
        self.flush(CLOSE_MILLISECONDS)
        if self._lines:
            self._drop(len(self._lines))
            self._lines.clear()
            self._bytes = 0
            self.flush()

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._unreported += count

    def _piece(self) -> tuple[bytes, int]:
        taken = [self._lines.popleft()]
        size = len(taken[0])
        while self._lines and size + len(self._lines[0]) <= PIECE_BYTES:
            taken.append(self._lines.popleft())
            size += len(taken[-1])
        self._bytes -= size
        return b"".join(taken), len(taken)

    def _line(self, exchange: Exchange) -> Line:
        client = exchange.client
        return Line(
            time=self._time(),
            request_id=_word(exchange.request_id),
            kind=exchange.kind.value,
            method=_word(client.method),
            target=_shown(client.target, SHOWN_CHARACTERS),
            status=exchange.status,
            outcome=exchange.outcome.value,
            bytes_in=client.bytes_received,
            bytes_out=client.bytes_sent,
            handling_seconds=round(exchange.handling_seconds, 6),
            held_seconds=round(exchange.held_seconds, 6),
            job_id=_word(exchange.job_id),
            client=_address(exchange.address),
        )

    def _time(self) -> str:
        second, milliseconds = divmod(int(self._wall_clock() * 1000), 1000)
        if second != self._second:
            self._second = second
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._prefix}.{milliseconds:03d}Z"


def _word(value: str) -> str:
    """An id or a method as it is shown; nearly always just that."""
    is_plain = value.isalnum() and value.isascii() and len(value) <= _WORD_CHARACTERS
    return value if is_plain else _shown(value)


def _address(value: str) -> str:
    # What a trusted proxy says may be no address at all.
    return value if _ADDRESS.fullmatch(value) else _shown(value)


def _shown(value: str, most: int = _WORD_CHARACTERS) -> str:
    safe = _UNSAFE.sub(_percent_encoded, value) if _UNSAFE.search(value) else value
    return redact(safe)[:most]


def _percent_encoded(match: re.Match[str]) -> str:
    return quote(match[0], safe="", errors="surrogateescape")


class _Sink:
    """The stream's file descriptor; a stream in memory has none and takes everything."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._poll: select.poll | None = None
        try:
            self._descriptor = stream.fileno()
        except OSError:
            return
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def is_writable(self, patience_milliseconds: int) -> bool:
        """A piece can be written; also when writing it will fail, as nobody reads any more."""
        return self._poll is None or bool(self._poll.poll(patience_milliseconds))

    def write(self, piece: bytes) -> bool:
        """Whether it was written."""
        try:
            if self._poll is None:
                self._stream.write(piece.decode())
            else:
                os.write(self._descriptor, piece)
        except OSError:
            return False
        return True
