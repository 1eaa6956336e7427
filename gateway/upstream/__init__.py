"""The way to the orchestrator: connections, time limits, failures mapped to ours."""

from gateway.upstream.client import Upstream, UpstreamStats
from gateway.upstream.exchange import UpstreamExchange
from gateway.upstream.messages.messages import Head, Heard, Outbound, Purpose, Reply
from gateway.upstream.upload import Content

__all__ = [
    "Content",
    "Head",
    "Heard",
    "Outbound",
    "Purpose",
    "Reply",
    "Upstream",
    "UpstreamExchange",
    "UpstreamStats",
]
