"""``Name : value``: the space before the colon, which a proxy removes (RFC 9112, 5.1). Pure.

llhttp takes it for an error, and rightly so in a request. The head of a response that it refuses is
mended as a whole and read anew, as strictly as any other.
"""

from __future__ import annotations

import re

_NAME = rb"\n[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_SPACED = re.compile(rb"(" + _NAME + rb")[ \t]++:")
_SPACED_SO_FAR = re.compile(_NAME + rb"[ \t]++(?::|\Z)")
_END = b"\r\n\r\n"
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d")


def has_spaced_name(received: bytes) -> bool:
    """True if there may be a space before the colon of a field line, as far as it was received."""
    return _SPACED_SO_FAR.search(received) is not None


def head_end(received: bytes | bytearray) -> int:
    """The end of the head, interim responses before it included; -1 if it is still to come."""
    at = 0
    while (found := received.find(_END, at)) >= 0:
        end = found + len(_END)
        if _INTERIM.match(received, at) is None:
            return end
        at = end
    return -1


class SpacedHead:
    """A head with spaces before its colons, until it is all there."""

    __slots__ = ("_received",)

    def __init__(self) -> None:
        self._received = bytearray()

    def mended(self, data: bytes) -> bytes | None:
        """The head without these spaces, and what has come behind it; None while a part of it is
        to come. ``data`` follows what was given before."""
        received = self._received
        # Only the last bytes can complete it.
        at = max(0, len(received) - len(_END) + 1)
        received += data
        end = head_end(received) if received.find(_END, at) >= 0 else -1
        return None if end < 0 else without_spaces(bytes(received[:end])) + received[end:]


def without_spaces(head: bytes) -> bytes:
    """The head with no space before the colon of any of its field lines."""
    return _SPACED.sub(rb"\1:", head)
