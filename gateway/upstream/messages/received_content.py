"""Content of a response that has arrived and that nobody took yet. No I/O."""

from __future__ import annotations

from collections import deque
from typing import Final

PIECE_BYTES: Final = 48
"""Bytes that a piece takes besides its own: many may have one only."""


class ReceivedContent:
    """``size`` is what all of it takes in memory, in bytes; 0 where there is none."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self.size = 0

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.size += len(piece) + PIECE_BYTES

    def take(self) -> bytes:
        """The first piece; there must be one."""
        piece = self._pieces.popleft()
        self.size -= len(piece) + PIECE_BYTES
        return piece

    def take_all(self) -> bytes:
        """All of it, empty where there is none."""
        pieces = self._pieces
        self.size = 0
        if len(pieces) == 1:
            return pieces.popleft()
        content = b"".join(pieces)
        pieces.clear()
        return content

    def drop(self) -> None:
        """Forget all of it, and the memory that its pieces were listed in."""
        self._pieces = deque()
        self.size = 0
