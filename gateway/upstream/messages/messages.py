"""Requests to the upstream and its responses, as plain records and bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.errors import Field
from gateway.protocols.http.fields import end_to_end
from gateway.protocols.http.response_head import REASONS

if TYPE_CHECKING:
    from gateway.tracing.facts import SendingTrace

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Methods that may be sent twice (RFC 9110, 9.2.2)."""


_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def passable_reason(reason: bytes, status: int) -> bytes:
    """The reason phrase; the usual one where it has control characters (RFC 9112, 4)."""
    usual = REASONS.get(status, b"")
    return reason if reason == usual or _CONTROLS.search(reason) is None else usual


class Purpose(StrEnum):
    """The reason for which a request is sent upstream; a metric's label."""

    RELAY = "relay"
    CREATE = "create"
    READ = "read"
    """A job, for the client that asked for it."""
    POLL = "poll"
    """Jobs that are waited for, to see whether they have ended."""
    CANCEL = "cancel"
    """It cancels a job."""
    PROBE = "probe"


class Outbound:
    """A request to send: everything but its content.

    ``fields`` are sent as they are, so they hold ``Host`` and the framing of the content.
    ``upgrade``: a 101 is asked for. ``holder``: the client that a relayed request is of, by
    which connections are shared out.
    """

    __slots__ = ("fields", "holder", "method", "purpose", "target", "upgrade")

    def __init__(
        self,
        method: str,
        target: str,
        fields: Sequence[Field],
        purpose: Purpose,
        *,
        upgrade: bool = False,
        holder: bytes = b"",
    ) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.purpose = purpose
        self.upgrade = upgrade
        self.holder = holder

    @property
    def may_be_repeated(self) -> bool:
        """It may be sent twice. Not if it cancels: some versions of TheEye cancel what has ended,
        and overwrite its result (recording cancel)."""
        return self.method in IDEMPOTENT and self.purpose is not Purpose.CANCEL

    def head(self) -> bytes:
        """The request line and the field lines."""
        lines = [f"{self.method} {self.target} HTTP/1.1".encode("ascii")]
        for name, content in self.fields:
            lines.append(b"%b: %b" % (name, content))
        lines.append(b"\r\n")
        return b"\r\n".join(lines)


class Head:
    """A response's status line and field lines, as they came."""

    __slots__ = ("fields", "length", "names", "reason", "status")

    def __init__(
        self,
        status: int,
        reason: bytes,
        fields: Sequence[Field],
        names: list[bytes],
        length: int | None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        self.names = names
        """The fields' names in lower case."""
        self.length = length
        """The length of its content in bytes where the upstream names it."""

    def passed_on(self) -> list[Field]:
        """The field lines that go on to the client."""
        return end_to_end(self.fields, self.names)


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """A whole response; ``fields`` are those for the next hop only."""

    status: int
    reason: bytes
    fields: Sequence[Field]
    content: bytes


class Heard:
    """Status and time of the upstream in requests that are made for one of a client's.

    ``trace``: whose spans they are; None where they are not traced.
    """

    __slots__ = ("seconds", "status", "trace", "was_sent")

    def __init__(self, trace: SendingTrace | None = None) -> None:
        self.trace = trace
        self.status = 0
        """The last response's; 0 where there is none."""
        self.seconds = 0.0
        """Sum of the times until responses began, or the upstream failed."""
        self.was_sent = False
        """One of them has gone out to the upstream, if only in part."""

    def note(self, status: int, seconds: float) -> None:
        self.status = status
        self.seconds += seconds
