"""A piece of memory that the parent of several workers makes and each of them maps.

It has no name, so it is gone with the last process that has it, however that ended. Whoever has the
descriptor may write all of it: it is given to the workers alone.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_HEAD = struct.Struct("=q16s")
"""The number of workers, and the secret."""
_CELLS = 64
"""Where they begin."""
CELL_NUMBERS = 2
"""In the cell of a worker, which it writes alone; each is a signed number of eight bytes."""
ABSENT = -1
"""The first number of a cell that is nobody's."""
_PAGE = 4096
_MOST_WORKERS = 256
_BUDGETS = 2 * _PAGE
BUDGET_BYTES = 3 * 1024 * 1024
_SIZE = _BUDGETS + BUDGET_BYTES


def _unnamed() -> int:
    """The descriptor of an empty file that has no name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("theeye-sync-gateway")
    with tempfile.TemporaryFile() as file:  # pragma: no cover - of other systems
        return os.dup(file.fileno())


class Segment:
    """``descriptor`` is that of a segment that was ``made``. ``cells`` are numbers of eight bytes,
    two for each worker; ``secret`` is the same for all who have the segment, and nobody else's;
    ``budgets`` are zeros at first.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _SIZE)
        self._whole = memoryview(self._memory)
        workers, self.secret = _HEAD.unpack_from(self._memory)
        self.cells = self._whole[_CELLS : _CELLS + 8 * CELL_NUMBERS * workers].cast("q")
        self.budgets = self._whole[_BUDGETS:]

    @classmethod
    def made(cls, workers: int, create: Callable[[], int] = _unnamed) -> Segment:
        """A new one, for 1 to 256 workers. ``create`` gives an empty file.

        Raises:
            OSError: there is no room for it.
        """
        assert 0 < workers <= _MOST_WORKERS
        descriptor = create()
        try:
            os.ftruncate(descriptor, _SIZE)
            os.pwrite(descriptor, _HEAD.pack(workers, secrets.token_bytes(16)), 0)
            segment = cls(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        for number in range(1, workers + 1):
            segment.clear(number)
        return segment

    def clear(self, number: int) -> None:
        """Forget what the worker of this number, from 1, has left in its cell."""
        self.cells[CELL_NUMBERS * (number - 1)] = ABSENT

    def close(self) -> None:
        for view in (self.cells, self.budgets, self._whole):
            view.release()
        self._memory.close()
        with suppress(OSError):
            os.close(self.descriptor)
