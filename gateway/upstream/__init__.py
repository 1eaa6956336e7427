"""The way to the orchestrator: connections, time limits, failures mapped to ours."""

from gateway.upstream.client import Upstream, UpstreamStats
from gateway.upstream.exchange import UpstreamExchange
from gateway.upstream.messages.messages import Head, Heard, Outbound, Purpose, UpstreamResponse
from gateway.upstream.upload import Content

__all__ = [
    "Content",
    "Head",
    "Heard",
    "Outbound",
    "Purpose",
    "Upstream",
    "UpstreamExchange",
    "UpstreamResponse",
    "UpstreamStats",
]
