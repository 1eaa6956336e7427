"""How much of what one client has sent is parsed before all others have had their turn, and how
much it may send that is neither a request nor content of one.

Parsing is paid by the line, not by the byte: a piece of content costs next to nothing, but the line
before each chunk of one byte as much as one before a chunk of a megabyte. One read may bring forty
thousand such lines.
"""

from __future__ import annotations

import re
from typing import Final

LINES: Final = 128
"""Lines that are parsed at once, and the most of a piece."""
FRAMING_BYTES: Final = 16 * 1024
"""Bytes that may frame a request's content in any case."""
FRAMING_SHARE: Final = 16
"""Bytes that may frame a byte of content. A chunk of one byte has five of them."""
_CR: Final = ord("\r")
_LF: Final = ord("\n")
_LINE_END: Final = b"\r\n"
_SECTION_END: Final = b"\r\n\r\n"
_LINES_OF_CHUNK: Final = 2
_LINE_BYTES: Final = 64
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[;\r]")


def first_line(data: bytes, start: int, most: int) -> int:
    """Where the first line of ``data`` begins, from ``start`` on, that is not empty; ``most`` or
    the end of ``data`` where there is none before."""
    # Nearly always it begins there, and startswith() would take longer than all that follows it.
    if start >= len(data) or (data[start] != _CR and data[start] != _LF):
        return start
    lines = data[start:most]
    return start + len(lines) - len(lines.lstrip(_LINE_END))


def section_end(tail: bytes, data: bytes, start: int, most: int) -> int:
    """Where a section of lines ends in ``data``: behind the first empty line from ``start`` on, if
    that begins before ``most``; else -1. ``tail``: the section's last three bytes so far.
    """
    if tail:
        # The empty line may have come in part.
        at = (tail + data[start : start + 3]).find(_SECTION_END)
        if at >= 0:
            return start + at + len(_SECTION_END) - len(tail)
    at = data.find(_SECTION_END, start, most)
    return -1 if at < 0 else at + len(_SECTION_END)


def lines_end(data: bytes, start: int, most: int) -> tuple[int, int]:
    """Where ``LINES`` lines end that begin at ``start``, or else ``most``; and their number."""
    line = start
    for lines in range(1, LINES + 1):
        end = data.find(_LINE_END, line, most) + len(_LINE_END)
        if end < len(_LINE_END):
            return most, lines
        if end == most:
            return end, lines
        line = end
    return line, LINES


class Chunks:
    """Follows the chunks of a request's content and the trailers behind it (RFC 9112, 7.1), so as
    not to look for lines in content, and not to go beyond the end.

    What is not in order is left to the parser.
    """

    __slots__ = ("_are_over", "_left", "_line", "_tail")

    def __init__(self) -> None:
        self._are_over = False
        """The last one has begun, or what came is none: all that follows is lines."""
        self._left = 0
        """How much of a chunk is still to come, with the line end behind it."""
        self._line = b""
        """What has come of the line before a chunk."""
        self._tail = b""
        """The last bytes of the lines behind the chunks."""

    def next_piece(self, data: bytes, start: int) -> tuple[int, int]:
        """Where the piece of ``data`` ends that begins at ``start``, and how many lines it has."""
        at = start
        for chunks in range(LINES // _LINES_OF_CHUNK):
            lines = chunks * _LINES_OF_CHUNK
            if self._are_over:
                return self._next_lines(data, at) if at == start else (at, lines)
            at += self._left
            if at > len(data):
                self._left = at - len(data)
                return len(data), lines + 1
            at = self._begin_chunk(data, at)
            if at == len(data):
                return at, lines + 1
        return at, LINES

    def _begin_chunk(self, data: bytes, at: int) -> int:
        """Take the line before a chunk; where it ends."""
        self._left = 0
        if self._line.endswith(b"\r") and data.startswith(b"\n", at):
            end, line = at + 1, self._line + b"\n"
        else:
            end = data.find(_LINE_END, at) + len(_LINE_END)
            if end < len(_LINE_END):
                self._line = _shortened(self._line + data[at:])
                return len(data)
            line = self._line + data[at:end]
        self._line = b""
        size = _CHUNK_SIZE.match(line)
        length = int(size[1], 16) if size is not None else 0
        if length:
            self._left = length + len(_LINE_END)
        else:
            self._are_over = True
            self._tail = line[-len(_LINE_END) :]
        return end

    def _next_lines(self, data: bytes, start: int) -> tuple[int, int]:
        most = section_end(self._tail, data, start, len(data))
        end, lines = lines_end(data, start, len(data) if most < 0 else most)
        self._tail = (self._tail + data[max(start, end - 3) : end])[-3:]
        return end, lines


def _shortened(line: bytes) -> bytes:
    """A line without most of its extensions, which may have no end."""
    return line if len(line) <= _LINE_BYTES else line[: _LINE_BYTES - 1] + line[-1:]


class Overhead:
    """Counts what comes and is neither a whole head nor content. ``head_bytes``: the most that a
    head may have, or trailers.
    """

    __slots__ = ("_content", "_head_bytes", "_received", "_unread")

    def __init__(self, head_bytes: int) -> None:
        self._head_bytes = head_bytes
        self._unread = self._received = self._content = 0

    def add(self, received: int, content: int) -> bool:
        """Count ``received`` bytes; whether there is too much of a head, of trailers or of framing.

        ``content``: how much the request's content has until now. Chunk extensions have no bound of
        their own, and whoever passes on only the content does not notice them.
        """
        self._received += received
        self._unread += received
        if content != self._content:
            self._unread = 0
            self._content = content
        if self._unread > self._head_bytes:
            return True
        return content > 0 and self._received > FRAMING_BYTES + (FRAMING_SHARE + 1) * content
