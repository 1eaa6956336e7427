"""What goes to the upstream and what comes back, as plain records and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.fields import end_to_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Methods that may be sent twice (RFC 9110, 9.2.2)."""

_LINE = b": ".join


class Purpose(StrEnum):
    """What a request is sent upstream for; a metric's label."""

    RELAY = "relay"
    CREATE = "create"
    READ = "read"
    PROBE = "probe"


@dataclass(slots=True)
class Outbound:
    """A request to send: everything but its content.

    ``fields`` are sent as they are, so they hold ``Host`` and the framing of the content.
    """

    method: str
    target: str
    fields: Sequence[Field]
    purpose: Purpose
    upgrade: bool = False
    """A 101 answer is asked for."""

    def head(self) -> bytes:
        """The request line and the field lines."""
        lines = [f"{self.method} {self.target} HTTP/1.1".encode("ascii")]
        lines += map(_LINE, self.fields)
        lines.append(b"\r\n")
        return b"\r\n".join(lines)


@dataclass(slots=True)
class Head:
    """An answer's status line and field lines, as they came."""

    status: int
    reason: bytes
    fields: Sequence[Field]
    names: Sequence[bytes]
    """The fields' names in lower case."""
    length: int | None
    """The length of its content in bytes where the upstream names it."""

    def passed_on(self) -> list[Field]:
        """The lines that go on to the client."""
        return end_to_end(self.fields, self.names)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; ``fields`` are those for the next hop only."""

    status: int
    reason: bytes
    fields: Sequence[Field]
    content: bytes
