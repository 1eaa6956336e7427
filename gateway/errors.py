"""Every failure the gateway answers with, and the one function failure -> answer."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import msgspec

Field = tuple[bytes, bytes]
"""A field line as it stands on the wire: name and value, case and order kept (RFC 9110, 5.1)."""

JSON_CONTENT: Field = (b"Content-Type", b"application/json")
NO_STORE: Field = (b"Cache-Control", b"no-store")


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer to a client. ``Content-Length`` and ``Date`` are added where missing."""

    status: int
    content: bytes = b""
    fields: tuple[Field, ...] = (JSON_CONTENT,)
    reason: bytes = b""
    """The status's usual phrase where empty."""

    def with_fields(self, *fields: Field) -> Response:
        """The same answer with more fields at the end."""
        return Response(self.status, self.content, (*self.fields, *fields), self.reason)


class GatewayError(Exception):
    """A failure that is answered to the client. The message is shown to it: nothing internal."""

    status = 500
    code = "Internal"

    def __init__(self, message: str = "", *, fields: tuple[Field, ...] = ()) -> None:
        self.message = message or HTTPStatus(self.status).phrase
        self.fields = fields
        super().__init__(self.message)


class BadRequest(GatewayError):
    status, code = 400, "BadRequest"


class Unauthorized(GatewayError):
    """The token is not genuine. Answered as TheEye answers one that is malformed."""

    status, code = 401, "Unauthorized"


class UnknownToken(Unauthorized):
    """Nobody is logged in with the token: the upstream just said so. ``said`` again is the
    answer."""

    code = "UnknownToken"

    def __init__(self, said: Response | None = None) -> None:
        super().__init__()
        self.said = said


class RequestTimeout(GatewayError):
    """The client stopped sending its content, or sends it too slowly."""

    status, code = 408, "RequestTimeout"


class ContentTooLarge(GatewayError):
    status, code = 413, "ContentTooLarge"

    @classmethod
    def than(cls, most: int) -> ContentTooLarge:
        """The client's content has more than ``most`` bytes."""
        return cls(f"The request's content has more than {most} bytes, which is the limit")


class TargetTooLong(GatewayError):
    status, code = 414, "TargetTooLong"


class TooManyRequests(GatewayError):
    """The client has reached one of its limits; nothing was sent upstream."""

    status, code = 429, "TooManyRequests"


class FieldsTooLarge(GatewayError):
    status, code = 431, "FieldsTooLarge"

    @classmethod
    def than(cls, most: int) -> FieldsTooLarge:
        """The request's field lines have more than ``most`` bytes together."""
        return cls(f"The request's fields have more than {most} bytes")


class MethodNotImplemented(GatewayError):
    """The request's method cannot be passed on."""

    status, code = 501, "NotImplemented"


class BadGateway(GatewayError):
    """The upstream could not be reached, or what it sent is no HTTP answer."""

    status, code = 502, "BadGateway"


class ResponseTooLarge(BadGateway):
    """The upstream's answer is larger than may be held here."""

    code = "ResponseTooLarge"


class Overloaded(GatewayError):
    """A bound of the gateway itself is reached; nothing was sent upstream."""

    status, code = 503, "Overloaded"


class MemoryFull(Overloaded):
    """What is under way of jobs and results takes all the memory it may. Of what was asked for
    nothing is lost: the client may come again."""

    code = "MemoryFull"


class KeysUnavailable(GatewayError):
    """What tokens are verified with cannot be had, so none of them can be let through."""

    status, code = 503, "KeysUnavailable"


class GatewayTimeout(GatewayError):
    """The upstream did not answer in time."""

    status, code = 504, "GatewayTimeout"


class ContentCut(Exception):
    """A message ended before its content did; once an answer has begun all one can do is cut it."""


class ClientGone(ContentCut):
    """The client closed its connection while we read from it or wrote to it."""


class _ResponseBody(msgspec.Struct, rename="camel"):
    status_code: int
    message: str
    code: str
    request_id: str


def answer(error: GatewayError, request_id: str) -> Response:
    """TheEye's error shape: ``{"statusCode", "message", "code", "requestId"}``; where a token is
    refused as TheEye would refuse it, what that answers."""
    body: msgspec.Struct | str
    match error:
        case UnknownToken(said=Response() as said):
            return said
        case Unauthorized():
            body = error.message
        case _:
            body = _ResponseBody(error.status, error.message, error.code, request_id)
    return Response(error.status, msgspec.json.encode(body), (JSON_CONTENT, *error.fields))
