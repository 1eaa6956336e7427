"""The responses to requests that fail, or are refused here; what all responses of ours have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway import errors
from gateway.admission.limits.buffers import BUFFERED_BYTES
from gateway.downstream.exchange import Outcome
from gateway.errors import (
    INVALID_JOB_ID,
    PROBLEM_CONTENT,
    PROBLEM_TYPE,
    TIME_UP,
    MemoryFull,
    Response,
    TooManyRequests,
    UnknownToken,
)
from gateway.protocols.http.fields import has, value, values, without
from gateway.protocols.negotiation.accept import is_named
from gateway.protocols.theeye.cors import carried_fields, exposing

if TYPE_CHECKING:
    from gateway.downstream.exchange import Exchange
    from gateway.downstream.request import Client
    from gateway.errors import Field, GatewayError

SHARE = "upstream_share"
"""The limit of a client that has its share of the connections to the upstream."""
OWN_WORDS = {
    INVALID_JOB_ID: "The id in the path is not the id of a job",
    TIME_UP: "The job has not ended in the time that the wait had",
}
"""By reason, what is told of refusals that are in TheEye's words, but the gateway's own. Not among
them is the 404 about another organization's job: it must be the same as of a job that is not
there, which the upstream answers."""
VARY: Field = (b"Vary", b"Accept")
"""Of all that would be a problem for another client, so that a cache keeps both apart."""


def response_to(exchange: Exchange, failure: GatewayError) -> Response:
    """Make the response to a failure, and record its code, its outcome and its limit."""
    if isinstance(failure, TooManyRequests) and not exchange.limit:
        exchange.limit = SHARE
    exchange.reason = failure.code
    is_refused = failure.status < 500 or failure.status == 503
    exchange.outcome = Outcome.REFUSED if is_refused else Outcome.FAILED
    if isinstance(failure, MemoryFull):
        exchange.limit = BUFFERED_BYTES
    client = exchange.client
    response = errors.response_of(failure, exchange.request_id, as_problem=accepts_problem(client))
    first = carried_fields(value(client.fields, b"origin"), response.fields)
    rest = without(response.fields, b"server")
    if isinstance(failure, UnknownToken):
        # The upstream's own, said again.
        return Response(response.status, response.content, (*first, *rest), response.reason)
    fields = (*exposing(first), *rest, VARY)
    return identified(exchange, Response(response.status, response.content, fields))


def own(exchange: Exchange, response: Response) -> Response:
    """A response of the gateway's own, with the request's id, and readable for a script of another
    origin; who is none of those sends no ``Origin``."""
    if has(exchange.client.names, b"origin"):
        fields = exposing(response.fields)
        response = Response(response.status, response.content, fields, response.reason)
    return identified(exchange, response)


def identified(exchange: Exchange, response: Response) -> Response:
    """A response of the gateway's own with the request's id, which the log has, too."""
    kept = without(response.fields, b"x-request-id")
    named = (b"X-Request-Id", exchange.request_id.encode("ascii"))
    return Response(response.status, response.content, (*kept, named), response.reason)


def reworded(exchange: Exchange, response: Response) -> Response:
    """Make a problem of a response that refuses in TheEye's own words, if the client asks for
    that. Any other response is left alone."""
    detail = OWN_WORDS.get(exchange.reason)
    if detail is None or response.status < 400:
        return response
    client = exchange.client
    if not accepts_problem(client):
        return response.with_fields(VARY)
    job = _job_told(response.content)
    made = errors.problem(response.status, exchange.reason, detail, exchange.request_id, job)
    kept = without(response.fields, b"content-type", b"content-length")
    fields = (*kept, PROBLEM_CONTENT, VARY)
    return Response(response.status, made.content, fields, response.reason)


def accepts_problem(client: Client) -> bool:
    """Tell whether errors are to be problem details (RFC 9457): the client names the type."""
    if not has(client.names, b"accept"):
        return False
    return is_named(values(client.fields, b"accept"), PROBLEM_TYPE)


class _Told(msgspec.Struct):
    job: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_told_decoder = msgspec.json.Decoder(_Told | str)


def _job_told(content: bytes) -> msgspec.Raw | msgspec.UnsetType:
    """What a response made here tells of its job."""
    told = _told_decoder.decode(content)
    return told.job if isinstance(told, _Told) else msgspec.UNSET
