"""A request's head, and the strictness that llhttp has not. Pure.

llhttp refuses bare line feeds, folded lines, white space before a colon, control characters,
contradictory lengths and whatever else is not in the grammar of RFC 9112. It lets pass, and here is
refused or marked:

- a field that may stand there once only and does so twice (RFC 9110, 5.3);
- a length that others could not count (RFC 9110, 8.6);
- a first line of another protocol, such as ``GET / RTSP/1.1``, or with more spaces than two: it
  gets no version;
- the handshake of a WebSocket draft, which has eight bytes of content that nothing announces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.downstream.messages.portions import first_line
from gateway.errors import BadRequest
from gateway.protocols.http.fields import count, first, has, lowered

if TYPE_CHECKING:
    from gateway.errors import Field

NO_METHOD: Final = "UNKNOWN"
"""In the place of the method of a request that is none."""
SINGLE: Final = frozenset(
    {
        b"content-length",
        b"content-location",
        b"content-range",
        b"content-type",
        b"etag",
        b"host",
        b"max-forwards",
        b"server",
        b"transfer-encoding",
        b"user-agent",
    }
)
"""Fields of which others take the first or the last, so that a request may have one only."""
LENGTH_DIGITS: Final = 18
"""What surely fits where others count lengths; llhttp takes 2^64 - 1 for none."""
_DRAFT: Final = b"sec-websocket-key1"
_HTTP_1_1: Final = b" HTTP/1.1\r\n"
_HTTP_1_0: Final = b" HTTP/1.0\r\n"
# A dictionary would have to hash what was just received, which takes longer than to compare it.
_METHODS: Final[tuple[tuple[bytes, str], ...]] = tuple(
    (name.encode("ascii"), name)
    for name in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
)


class RequestHead:
    """``names`` are those of the fields in lower case. ``version`` is (1, 1), (1, 0), or (0, 0) for
    any other protocol."""

    __slots__ = (
        "fields",
        "is_chunked",
        "keeps_alive",
        "length",
        "method",
        "names",
        "target",
        "version",
    )

    def __init__(
        self,
        method: str,
        target: str,
        fields: tuple[Field, ...],
        names: list[bytes],
        version: tuple[int, int],
        *,
        keeps_alive: bool,
        is_chunked: bool,
        length: int,
    ) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.names = names
        self.version = version
        self.keeps_alive = keeps_alive
        """The client may send another request (RFC 9112, 9.3)."""
        self.is_chunked = is_chunked
        self.length = length
        """The content's in bytes where it is named; else 0."""

    @property
    def has_content(self) -> bool:
        """Content follows the head."""
        return self.is_chunked or self.length > 0

    @classmethod
    def of_none(cls, method: str = NO_METHOD) -> RequestHead:
        """In the place of one that could not be read."""
        return cls(method, "/", (), [], (1, 0), keeps_alive=False, is_chunked=False, length=0)

    def framing(self) -> bytes:
        """A request that says no more than how its content is framed."""
        framed = b"Transfer-Encoding: chunked" if self.is_chunked else b"Content-Length: %d"
        line = framed if self.is_chunked else framed % self.length
        return b"POST / HTTP/1.1\r\n" + line + b"\r\n\r\n"


def completed_head(
    received: bytes, method: bytes, target: bytes, fields: list[Field], *, keeps_alive: bool
) -> RequestHead:
    """What the parser has made of a head; ``received``: all of it, with what came before it.

    Raises:
        BadRequest: a field stands there twice that may not, or is a draft's; a length that could
            overflow.
    """
    names = lowered(fields)
    for name in names:
        if name in SINGLE and count(names, name) > 1:
            raise BadRequest(f"The request has several {name.decode('ascii')} fields")
    if has(names, _DRAFT):
        raise BadRequest("The WebSocket handshake is that of a draft")
    length = 0
    digits = first(fields, names, b"content-length")
    if digits is not None:
        if len(digits) > LENGTH_DIGITS:
            raise BadRequest(f"Content-Length may have {LENGTH_DIGITS} digits")
        length = int(digits)
    return RequestHead(
        _method(method),
        target.decode("latin-1"),
        tuple(fields),
        names,
        _version(received, method, target),
        keeps_alive=keeps_alive,
        is_chunked=has(names, b"transfer-encoding"),
        length=length,
    )


def _method(method: bytes) -> str:
    for known, name in _METHODS:
        if method == known:
            return name
    return method.decode("ascii")


def _version(received: bytes, method: bytes, target: bytes) -> tuple[int, int]:
    """The version behind a first line of a method, one space and the target, and nothing else: the
    parser takes RTSP/1.1 and ICE/1.1 for the same, more spaces for one, and a line that ends with a
    line feed behind the target for one of HTTP/0.9, whose first field may end like a first line.
    """
    at = first_line(received, 0, len(received)) + len(method) + 1 + len(target)
    version = received[at : at + len(_HTTP_1_1)]
    if version == _HTTP_1_1:
        return (1, 1)
    return (1, 0) if version == _HTTP_1_0 else (0, 0)
