"""Whose failure it is that a request upstream has no answer. Pure."""

from __future__ import annotations

from gateway.errors import BadGateway, ClientGone, ContentCut, GatewayTimeout


def is_the_upstreams(failure: Exception) -> bool:
    """Whether it speaks of the upstream's health."""
    return isinstance(failure, BadGateway | GatewayTimeout)


def told_at_once(failure: Exception) -> Exception:
    """What to raise where the answer's content broke off before anybody has seen its head."""
    if isinstance(failure, ContentCut) and not isinstance(failure, ClientGone):
        return BadGateway("The upstream's answer broke off as it began")
    return failure
