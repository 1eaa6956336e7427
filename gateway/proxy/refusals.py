"""The responses to requests that fail, or are refused here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import errors
from gateway.admission.limits.buffers import BUFFERED_BYTES
from gateway.downstream.exchange import Outcome
from gateway.errors import MemoryFull, Response, TooManyRequests, UnknownToken
from gateway.protocols.http.fields import value, without
from gateway.protocols.theeye.cors import EXPOSED, carried_fields

if TYPE_CHECKING:
    from gateway.downstream.exchange import Exchange
    from gateway.errors import GatewayError

SHARE = "upstream_share"
"""The limit of a client that has its share of the connections to the upstream."""


def response_to(exchange: Exchange, failure: GatewayError) -> Response:
    """Make the response to a failure, and record its code, its outcome and its limit."""
    if isinstance(failure, TooManyRequests) and not exchange.limit:
        exchange.limit = SHARE
    exchange.reason = failure.code
    is_refused = failure.status < 500 or failure.status == 503
    exchange.outcome = Outcome.REFUSED if is_refused else Outcome.FAILED
    if isinstance(failure, MemoryFull):
        exchange.limit = BUFFERED_BYTES
    response = errors.answer(failure, exchange.request_id)
    origin = value(exchange.client.fields, b"origin")
    first = carried_fields(origin, response.fields)
    if not isinstance(failure, UnknownToken):
        first = (*first, EXPOSED)
    fields = (*first, *without(response.fields, b"server"))
    return Response(response.status, response.content, fields, response.reason)
