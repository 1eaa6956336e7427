"""Failures of requests upstream: the upstream's own, and how they are told. Pure."""

from __future__ import annotations

from gateway.errors import BadGateway, ClientGone, ContentCut, GatewayTimeout


def is_the_upstreams(failure: Exception) -> bool:
    """True if the failure tells of the upstream's health."""
    return isinstance(failure, BadGateway | GatewayTimeout)


def told_at_once(failure: Exception) -> Exception:
    """The failure to raise where content broke off before anybody has seen the head."""
    if isinstance(failure, ContentCut) and not isinstance(failure, ClientGone):
        return BadGateway("The upstream's answer broke off as it began")
    return failure
