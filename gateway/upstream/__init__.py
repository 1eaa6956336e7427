"""The way to the orchestrator: connections, time limits, failures mapped to ours."""

from gateway.upstream.messages import Head, Outbound, Purpose, Reply
from gateway.upstream.origin import Content, Upstream, UpstreamStats

__all__ = ["Content", "Head", "Outbound", "Purpose", "Reply", "Upstream", "UpstreamStats"]
