"""Memory for jobs and results under way: how many bytes one client, and all together, may take.

What is counted: a job from the time its bytes come from the upstream until its result is made of
it, the result until the client has taken it, and content that creates a job until the upstream has
it. Who gets no room is told to come again; the job has been created, or has ended, all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from gateway.errors import Field, MemoryFull

if TYPE_CHECKING:
    from types import TracebackType

BUFFERED_BYTES = "buffered_bytes"
"""The limit's name."""
CLIENT_SHARE = 4
"""One client takes no more than this part of all."""
SMALL_BYTES = 64 * 1024
SMALL_SHARE = 8
"""This part of all is kept for what is small, so that large results keep nobody from those."""
_RETRY_SOON: Field = (b"Retry-After", b"1")


class Buffers:
    """Counts in this process. ``most_bytes`` is the bound for all; a client may have at least
    ``largest_bytes``, so that there is nothing that nobody can ever get."""

    def __init__(self, most_bytes: int, largest_bytes: int) -> None:
        self.reconfigure(most_bytes, largest_bytes)
        self._by_client: dict[bytes, int] = {}
        """Of clients that have taken any."""
        self.total = 0
        """Bytes that are taken now."""
        self.refused = 0
        """How often there was no room so far."""

    def reconfigure(self, most_bytes: int, largest_bytes: int) -> None:
        """Have other bounds; what is taken stays so."""
        self._most = most_bytes
        self._most_of_one = max(most_bytes // CLIENT_SHARE, min(largest_bytes, most_bytes))
        self._most_of_large = max(most_bytes - most_bytes // SMALL_SHARE, self._most_of_one)

    def of(self, client: bytes) -> Buffered:
        """Begin with a client's next request, which takes nothing yet; must be released."""
        return Buffered(self, client)

    def take(self, client: bytes, size: int, held: int) -> None:
        """Take ``size`` bytes more for what takes ``held`` already.

        Raises:
            MemoryFull: there is no room.
        """
        most = self._most if held + size <= SMALL_BYTES else self._most_of_large
        if self._by_client.get(client, 0) + size > self._most_of_one:
            self._refuse("Jobs and results of this client")
        if self.total + size > most:
            self._refuse("Jobs and results")
        self.add(client, size)

    def add(self, client: bytes, size: int) -> None:
        """Count ``size`` bytes more, or fewer, that are there already."""
        self.total += size
        taken = self._by_client.get(client, 0) + size
        if taken:
            self._by_client[client] = taken
        else:
            self._by_client.pop(client, None)

    def _refuse(self, whose: str) -> None:
        self.refused += 1
        raise MemoryFull(
            f"{whose} take all the memory that is meant for them; come again in a moment",
            fields=(_RETRY_SOON,),
        )


class Buffered:
    """The bytes that one request, or one read, has taken; a block of it ends with none."""

    __slots__ = ("_buffers", "_client", "size")

    def __init__(self, buffers: Buffers, client: bytes) -> None:
        self._buffers = buffers
        self._client = client
        self.size = 0

    def grow(self, size: int) -> None:
        """Take room for ``size`` bytes that are about to come; raises MemoryFull."""
        self._buffers.take(self._client, size, self.size)
        self.size += size

    def become(self, size: int) -> None:
        """Have exactly ``size`` bytes from now on; they are there, so they are never refused."""
        self._buffers.add(self._client, size - self.size)
        self.size = size

    def release(self) -> None:
        self.become(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
