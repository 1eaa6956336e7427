"""Every failure the gateway answers with, and the one function failure -> response."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import msgspec

Field = tuple[bytes, bytes]
"""A field line as it stands on the wire: name and value, case and order kept (RFC 9110, 5.1)."""

JSON_CONTENT: Field = (b"Content-Type", b"application/json")
PROBLEM_TYPE = b"application/problem+json"
PROBLEM_CONTENT: Field = (b"Content-Type", PROBLEM_TYPE)
NO_STORE: Field = (b"Cache-Control", b"no-store")
INVALID_JOB_ID, OTHER_ORGANIZATION, TIME_UP = "InvalidJobId", "OtherOrganization", "TimeUp"
"""Reasons of responses that are as TheEye's: no code stands in their content, unless they are made
problems."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response to a client. ``Content-Length`` and ``Date`` are added where missing."""

    status: int
    content: bytes = b""
    fields: tuple[Field, ...] = (JSON_CONTENT,)
    reason: bytes = b""
    """The status's usual phrase where empty."""

    def with_fields(self, *fields: Field) -> Response:
        """The same response with more fields at the end."""
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
    response."""

    code = "UnknownToken"

    def __init__(self, said: Response | None = None) -> None:
        super().__init__()
        self.said = said


class RequestTimeout(GatewayError):
    """The client stopped sending its content, or sends it too slowly."""

    status, code = 408, "RequestTimeout"


class IdempotencyUnknown(GatewayError):
    """A request with this key was sent upstream, and nobody knows what became of it."""

    status, code = 409, "IdempotencyUnknown"


class IdempotencyInProgress(GatewayError):
    """The first request with this key is under way in another process."""

    status, code = 409, "IdempotencyInProgress"


class JobEnded(GatewayError):
    """There is nothing to cancel: the job has ended, and its result stays."""

    status, code = 409, "JobEnded"


class IdempotencyGone(GatewayError):
    """The job that a request with this key has created is gone, and so is its result."""

    status, code = 410, "IdempotencyGone"


class ContentTooLarge(GatewayError):
    status, code = 413, "ContentTooLarge"

    @classmethod
    def than(cls, most: int) -> ContentTooLarge:
        """The client's content has more than ``most`` bytes."""
        return cls(f"The request's content has more than {most} bytes, which is the limit")


class TargetTooLong(GatewayError):
    status, code = 414, "TargetTooLong"


class IdempotencyMismatch(GatewayError):
    """This caller has used the key for another request."""

    status, code = 422, "IdempotencyMismatch"


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
    """The upstream could not be reached, or what it sent is not HTTP."""

    status, code = 502, "BadGateway"


class ResponseTooLarge(BadGateway):
    """The upstream's response is larger than may be held here."""

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


class IdempotencyUnavailable(GatewayError):
    """It cannot be told whether a request with a key is the first; nothing was sent upstream."""

    status, code = 503, "IdempotencyUnavailable"


class GatewayTimeout(GatewayError):
    """The upstream did not answer in time."""

    status, code = 504, "GatewayTimeout"


class ContentCut(Exception):
    """A message ended before its content did; once a response has begun it can only be cut."""


class ClientGone(ContentCut):
    """The client closed its connection while we read from it or wrote to it."""


class _ResponseBody(msgspec.Struct, rename="camel"):
    status_code: int
    message: str
    code: str
    request_id: str


class _ProblemBody(msgspec.Struct, rename="camel", omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    job: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_URN = "urn:theeye-sync-gateway"
"""No page of the project has an address of its own, so problems are named, not located."""
_NEXT_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def response_of(error: GatewayError, request_id: str, *, as_problem: bool = False) -> Response:
    """TheEye's error shape: ``{"statusCode", "message", "code", "requestId"}``, or a problem.

    Where a token is refused as TheEye would refuse it: that response; what the upstream itself
    has said is never made a problem.
    """
    body: msgspec.Struct | str
    match error:
        case UnknownToken(said=Response() as said):
            return said
        case _ if as_problem:
            plain = problem(error.status, error.code, error.message, request_id)
            return plain.with_fields(*error.fields)
        case Unauthorized():
            body = error.message
        case _:
            body = _ResponseBody(error.status, error.message, error.code, request_id)
    return Response(error.status, msgspec.json.encode(body), (JSON_CONTENT, *error.fields))


def problem(
    status: int,
    code: str,
    detail: str,
    request_id: str,
    job: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET,
) -> Response:
    """The details of a problem (RFC 9457). ``type`` and ``title`` follow from ``code``,
    ``instance`` from ``request_id``; ``job`` is the JSON of what the problem is about."""
    body = _ProblemBody(
        f"{_URN}:error:{code}",
        _NEXT_WORD.sub(" ", code).capitalize(),
        status,
        detail,
        f"{_URN}:request:{quote(request_id, safe='')}",
        code,
        request_id,
        job,
    )
    return Response(status, msgspec.json.encode(body), (PROBLEM_CONTENT,))
