"""Where lines are written to without ever waiting for who reads them."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


class Sink:
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
