"""Preflights of the gateway's own routes (Fetch, 4.8): the upstream decides who may come, and the
gateway adds what it understands itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.errors import BadGateway, ContentCut, GatewayTimeout, Overloaded, Response
from gateway.protocols.http.fields import value
from gateway.protocols.theeye.cors import cross_origin_fields, understanding

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.downstream.exchange import Exchange
    from gateway.upstream import UpstreamExchange

MOST_BYTES: Final = 64 * 1024
"""More content than any response to a preflight has; the browser drops it."""


class Preflights:
    """Sends a preflight upstream, completes the response; ``forwarded`` makes what is sent."""

    def __init__(self, forwarded: Callable[[Exchange], UpstreamExchange]) -> None:
        self._forwarded = forwarded

    async def respond(self, exchange: Exchange) -> Response:
        """The upstream's response with what the gateway understands; another than a success as it
        is. While the upstream has none: what TheEye would say, so that the request itself gets an
        error that its script may read.

        Raises:
            TooManyRequests: the client has its share of the connections to the upstream.
        """
        method = value(exchange.client.fields, b"access-control-request-method") or b""
        forwarded = self._forwarded(exchange)
        try:
            response = await _response(forwarded)
        except (BadGateway, ContentCut, GatewayTimeout, Overloaded):
            origin = value(exchange.client.fields, b"origin")
            fields = understanding(cross_origin_fields(origin), method)
            named = (b"X-Request-Id", exchange.request_id.encode("ascii"))
            return Response(204, fields=(*fields, named))
        finally:
            exchange.upstream_status = forwarded.status
            exchange.upstream_seconds = forwarded.seconds
        if not 200 <= response.status < 300:
            return response
        fields = understanding(response.fields, method)
        return Response(response.status, response.content, fields, response.reason)


async def _response(forwarded: UpstreamExchange) -> Response:
    """The whole response.

    Raises:
        BadGateway, ContentCut, GatewayTimeout, Overloaded, TooManyRequests: there is none.
    """
    content = bytearray()
    async with forwarded:
        while chunk := await forwarded.read():
            content += chunk
            if len(content) > MOST_BYTES:
                raise ContentCut("a preflight is answered with too much content")
    head = forwarded.head
    return Response(head.status, bytes(content), tuple(head.passed_on()), head.reason)
