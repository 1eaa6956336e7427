"""Lines on stderr that tell who has reached a limit: a few a minute, however many requests do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gateway.admission.addresses import network, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.identity.identities import Identity
    from gateway.downstream.exchange import Exchange

_log = logging.getLogger(__name__)
PERIOD_SECONDS = 60.0
LINES = 20
"""Of one period. Then one more says that there are others."""


class LimitNotices:
    """Tells of the first request in a minute by which a client reaches a limit.

    ``accountable``: who answers for a request from an address, as limits count it. Tokens that
    anybody could have made up are told as their address, else they would fill the minute's lines.
    """

    def __init__(self, accountable: Callable[[Identity, str], Identity]) -> None:
        self._accountable = accountable
        self._told: set[tuple[str, bytes]] = set()
        self._ends_at = 0.0

    def observe(self, exchange: Exchange) -> None:
        """Tell of a request that is over, where it is the first to be told of."""
        if exchange.limit:
            self._notice(exchange)

    def _notice(self, exchange: Exchange) -> None:
        if exchange.finished >= self._ends_at:
            self._told.clear()
            self._ends_at = exchange.finished + PERIOD_SECONDS
        limit = exchange.limit
        identity = self._accountable(exchange.identity, exchange.address)
        key = (limit, identity.key)
        if key in self._told or len(self._told) > LINES:
            return
        self._told.add(key)
        if len(self._told) > LINES:
            _log.warning("more limits are reached: the access log and the metrics tell which")
        else:
            _log.warning(
                'limit "%s" is reached by %s, answered %s',
                limit,
                _who(identity, exchange.address),
                exchange.status or "nothing",
            )


def _who(identity: Identity, address: str) -> str:
    hashed = identity.token_hash
    # What a proxy tells may be any text.
    shown = network(address) if parsed(address) is not None else "unknown"
    return f"address {shown}" if hashed is None else f"token {hashed.hex()} at {shown}"
