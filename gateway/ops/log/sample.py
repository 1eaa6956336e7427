"""Which of the requests that are only passed through get a line in the access log."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from gateway.downstream.exchange import Kind, Outcome
from gateway.protocols.http.fields import has, values
from gateway.protocols.http.query import split
from gateway.protocols.theeye.routes import RouteKind, classify
from gateway.protocols.tracing.trace_context import trace_parent

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import LogConfig
    from gateway.downstream.exchange import Exchange

_KINDS: Final = (Kind.RELAY, Kind.WEBSOCKET)
_HASH_BYTES: Final = 8


class RelaySample:
    """A ``share`` (0 to 1) of the successes among them; ``is_trusted`` tells whether an address is
    a trusted proxy's.

    Requests of one trace, or with one request id, are logged by all gateways with the same share or
    by none. Both are a trusted proxy's to choose: whoever else could would choose what is not seen.
    """

    def __init__(self, share: float, is_trusted: Callable[[str], bool]) -> None:
        self._share = share
        self._is_trusted = is_trusted

    def leaves_out(self, exchange: Exchange) -> bool:
        """Tell whether a request that is over gets no line."""
        return _is_ordinary(exchange) and _fraction(self._chosen_by(exchange)) >= self._share

    def _chosen_by(self, exchange: Exchange) -> str:
        client = exchange.client
        if has(client.names, b"traceparent") and self._is_trusted(client.address):
            parent = trace_parent(values(client.fields, b"traceparent"))
            if parent is not None:
                return parent.trace_id
        return exchange.request_id


def leaving_out(
    log: LogConfig, is_trusted: Callable[[str], bool]
) -> Callable[[Exchange], bool] | None:
    """What tells which requests get no line; None where all get one."""
    if log.sample_relay >= 1:
        return None
    return RelaySample(log.sample_relay, is_trusted).leaves_out


def _is_ordinary(exchange: Exchange) -> bool:
    """Tell whether it was passed through, made no job, and succeeded within all limits."""
    return (
        exchange.kind in _KINDS
        and 0 < exchange.status < 400
        and exchange.outcome is Outcome.OK
        and not exchange.reason
        and not exchange.limit
        and not _may_create(exchange)
    )


def _may_create(exchange: Exchange) -> bool:
    path, _ = split(exchange.target)
    return classify(exchange.client.method, path).kind is RouteKind.CREATE


def _fraction(text: str) -> float:
    """A number from 0 up to 1, always the same for a text and as good as random for several."""
    digest = blake2b(text.encode(), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest) / (1 << 8 * _HASH_BYTES)
