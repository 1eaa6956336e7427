"""Where frames of WebSocket begin and end (RFC 6455, 5.2).

Whoever passes frames on needs that to send one of its own between two of them, even in the middle
of a fragmented message (5.4). What a frame carries is not looked at, and not copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_HEAD_BYTES: Final = 14
"""The longest head: two bytes, eight of length, four of the mask."""
_CLOSE: Final = 0x8
_OPCODES: Final = frozenset({0x0, 0x1, 0x2, _CLOSE, 0x9, 0xA})
_CONTROL_BYTES: Final = 125
_TWO_BYTES: Final = 126
"""Instead of a length: the length stands in the next two bytes."""
_EIGHT_BYTES: Final = 127
_IS_DATA: Final = tuple(first & 0x0F in {0x0, 0x1, 0x2} for first in range(256))
"""By the first byte of a frame: it carries data."""
GOING_AWAY: Final = 1001
"""The close code of an end that goes down (RFC 6455, 7.4.1)."""
_MASK_BYTES: Final = 4


def close_frame(code: int) -> bytes:
    """One to a client, which is not masked (RFC 6455, 5.5.1)."""
    return bytes((0x80 | _CLOSE, 2)) + code.to_bytes(2)


def masked_close_frame(code: int, random: Callable[[int], bytes]) -> bytes:
    """One to a server, masked (5.3); ``random`` gives so many bytes that nobody can foretell."""
    mask = random(_MASK_BYTES)
    content = bytes(byte ^ key for byte, key in zip(code.to_bytes(2), mask, strict=False))
    return bytes((0x80 | _CLOSE, 0x80 | len(content))) + mask + content


class Frames:
    """Follows the frames of one direction; ``are_masked``: they come from the client."""

    __slots__ = ("_are_masked", "_head", "_left", "are_frames", "have_closed")

    def __init__(self, *, are_masked: bool) -> None:
        self._are_masked = are_masked
        self._head = b""
        """The beginning of a frame whose head is not complete."""
        self._left = 0
        """Bytes of the current frame that are to come."""
        self.are_frames = True
        """Nothing has come that is none."""
        self.have_closed = False
        """A frame that closes has begun."""

    @property
    def is_between(self) -> bool:
        """No frame has begun and not ended."""
        return self.are_frames and not self._left and not self._head

    def follow(self, data: bytes) -> None:
        """Take note of what passes."""
        at, end = 0, len(data)
        while at < end:
            if self.is_between:
                at = self._over_usual(data, at)
            if at < end:
                at = self.to_end(data, at)

    def _over_usual(self, data: bytes, at: int) -> int:
        """Pass over frames as most are, whole, below 64 KiB and no control frames, at a tenth of
        the cost; where the first other one begins."""
        low, head = (0x80, 2 + _MASK_BYTES) if self._are_masked else (0, 2)
        end = len(data)
        while at + 3 < end:
            length = data[at + 1] - low
            following = at + head + length
            if length == _TWO_BYTES:
                following += 2 - length + (data[at + 2] << 8 | data[at + 3])
            if not 0 <= length <= _TWO_BYTES or following > end or not _IS_DATA[data[at]]:
                return at
            at = following
        return at

    def to_end(self, data: bytes, at: int) -> int:
        """Read on to the end of the current frame, or of what begins at ``at``; where that is. The
        end of ``data`` if the frame goes on behind it, or is none.
        """
        if not self._left and self.are_frames:
            at = self._read_head(data, at)
        if not self.are_frames:
            return len(data)
        end = min(at + self._left, len(data))
        self._left -= end - at
        return end

    def to_close(self, data: bytes) -> int:
        """Read on to where a frame that closes begins; the end of ``data`` if none does."""
        at, end = 0, len(data)
        while at < end and not (self.is_between and data[at] & 0x0F == _CLOSE):
            at = self.to_end(data, at)
        return at

    def _read_head(self, data: bytes, at: int) -> int:
        """Read a head, or what there is of it; where that ends."""
        kept = len(self._head)
        head = self._head + data[at : at + _HEAD_BYTES - kept]
        if len(head) >= 2 and not self._is_sound(head[0], head[1]):
            self.are_frames = False
            return at
        size = _size(head)
        if len(head) < size:
            self._head = head
            return len(data)
        if head[0] & 0x0F == _CLOSE:
            self.have_closed = True
        self._head = b""
        self._left = _length(head)
        return at + size - kept

    def _is_sound(self, first: int, second: int) -> bool:
        """Tell whether a head may begin so; extensions may use the reserved bits."""
        opcode, length = first & 0x0F, second & 0x7F
        is_whole = bool(first & 0x80)
        is_control = opcode >= _CLOSE
        return (
            opcode in _OPCODES
            and bool(second & 0x80) is self._are_masked
            and (not is_control or (is_whole and length <= _CONTROL_BYTES))
        )


def _size(head: bytes) -> int:
    """How long it is when it is complete, two as long as that is not known."""
    if len(head) < 2:
        return 2
    length = head[1] & 0x7F
    extended = 2 if length == _TWO_BYTES else 8 if length == _EIGHT_BYTES else 0
    return 2 + extended + (_MASK_BYTES if head[1] & 0x80 else 0)


def _length(head: bytes) -> int:
    """Of what follows a complete head."""
    length = head[1] & 0x7F
    if length == _TWO_BYTES:
        return int.from_bytes(head[2:4])
    return int.from_bytes(head[2:10]) if length == _EIGHT_BYTES else length
