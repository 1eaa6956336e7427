"""How much of what one client has sent is parsed before all others have had their turn, and how
much it may send that is neither a request nor content of one.

Parsing is paid by the line, not by the byte: a piece of content costs next to nothing, but the line
before each chunk of one byte as much as one before a chunk of a megabyte. One read may bring forty
thousand such lines.
"""

from __future__ import annotations

LINES = 128
"""Lines that are parsed at once, and the most of a piece."""
PIECE_LINES = 4
"""As many lines as cost what a piece does."""
FRAMING_BYTES = 16 * 1024
"""Bytes that may frame a request's content in any case."""
FRAMING_SHARE = 16
"""Bytes that may frame a byte of content. A chunk of one byte has five of them."""
_LINE_END = b"\r\n"


def next_piece(data: bytes, start: int, content: int = 0) -> tuple[int, int]:
    """Where the piece of ``data`` ends that begins at ``start``, and how many lines it has.

    It ends with a head, so that what follows and is malformed does not take the head with it.
    ``content``: so many bytes from ``start`` on have no lines, whatever is in them.
    """
    if content > 0:
        return min(start + content, len(data)), 0
    line = start
    for lines in range(1, LINES + 1):
        end = data.find(_LINE_END, line) + len(_LINE_END)
        if end < len(_LINE_END):
            return len(data), lines
        if end - line == len(_LINE_END):
            return end, lines
        line = end
    return line, LINES


def framing_lines(lines: int, size: int, content: int) -> int:
    """How many of a piece's lines at most were not content, where ``content`` bytes of it were, and
    what the piece costs.
    """
    return min(lines, (size - content) // len(_LINE_END) + PIECE_LINES)


class Overhead:
    """Counts what comes and is neither a whole head nor content. ``head_bytes``: the most that a
    head may have, or trailers.
    """

    __slots__ = ("_content", "_head_bytes", "_received", "_unread")

    def __init__(self, head_bytes: int) -> None:
        self._head_bytes = head_bytes
        self.begin()

    def begin(self) -> None:
        """A head is complete: what comes is content of its request, or the next head."""
        self._unread = self._received = self._content = 0

    def add(self, received: int, content: int, *, is_parsed: bool) -> bool:
        """Count ``received`` bytes; whether there is too much of a head, of trailers or of framing.

        ``content``: how much the request's content has until now; ``is_parsed`` is False where some
        of what came may not have been looked at. Chunk extensions have no bound of their own, and
        whoever passes on only the content does not notice them.
        """
        self._received += received
        self._unread += received
        if content != self._content or not is_parsed:
            self._unread = 0
            self._content = content
        if self._unread > self._head_bytes:
            return True
        most = FRAMING_BYTES + (FRAMING_SHARE + 1) * content
        return content > 0 and is_parsed and self._received > most
