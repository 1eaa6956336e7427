"""One line per request, as JSON or ``key=value`` text.

Lines are kept in memory and written in pieces that a pipe takes without blocking, so a reader that
stands still costs lines, never requests.
"""

from __future__ import annotations

import logging
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from gateway.ops.log.fields import FIELDS, template
from gateway.ops.log.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from gateway.downstream.exchange import Exchange

_log = logging.getLogger(__name__)
CAPACITY_BYTES = 1024 * 1024
WRITE_BYTES = 16 * 1024
"""As much is written at once without waiting for the owner's ``flush``."""
PIECE_BYTES = 4096
"""POSIX: what a writable pipe takes whole, never mixed with other writers' lines (PIPE_BUF)."""
CLOSE_MILLISECONDS = 1000

_MILLISECONDS: Final = tuple(f".{number:03d}Z" for number in range(1000))
"""How a time ends."""


class AccessLog:
    """Writes a line for each request observed, but for those that are said to be left out;
    ``wall_clock`` gives seconds since 1970.

    Its owner calls ``flush`` at least each second, and ``close`` at the end.
    """

    def __init__(
        self,
        stream: TextIO,
        form: Literal["json", "text"],
        wall_clock: Callable[[], float],
        *,
        leaves_out: Callable[[Exchange], bool] | None = None,
        capacity_bytes: int = CAPACITY_BYTES,
        close_milliseconds: int = CLOSE_MILLISECONDS,
    ) -> None:
        self._sink = Sink(stream)
        self._line: list[str] = []
        """What stands between the values of a line, with room for them."""
        self._values = [field.value for field in FIELDS]
        self._nothing = ""
        self._leaves_out = leaves_out
        self.reconfigure(form, leaves_out=leaves_out)
        self._wall_clock = wall_clock
        self._capacity_bytes = capacity_bytes
        self._close_milliseconds = close_milliseconds
        self._second = self._millisecond = -1
        self._prefix = self._shown_time = ""
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._write_at = WRITE_BYTES
        self._unreported = 0
        self.dropped = 0
        """Lines lost so far because they could not be written fast enough, or at all."""

    def reconfigure(
        self,
        form: Literal["json", "text"],
        *,
        leaves_out: Callable[[Exchange], bool] | None = None,
    ) -> None:
        """Have another form, and leave out others, from now on."""
        self._leaves_out = leaves_out
        self._line = []
        for text in template(form).split("%"):
            self._line += (text, "")
        del self._line[-1]
        self._nothing = "" if form == "json" else "-"

    def observe(self, exchange: Exchange) -> None:
        """Log a request that is over."""
        if self._leaves_out is not None and self._leaves_out(exchange):
            return
        line, nothing, place = self._line, self._nothing, 1
        for value in self._values:
            line[place] = value(exchange) or nothing
            place += 2
        line[1] = self._time()
        written = "".join(line).encode("ascii")
        if self._bytes + len(written) > self._capacity_bytes:
            self._drop(1)
            return
        self._lines.append(written)
        self._bytes += len(written)
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
        self.flush(self._close_milliseconds)
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

    def _time(self) -> str:
        millisecond = int(self._wall_clock() * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second = millisecond // 1000
            if second != self._second:
                self._second = second
                self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._shown_time = self._prefix + _MILLISECONDS[millisecond % 1000]
        return self._shown_time
