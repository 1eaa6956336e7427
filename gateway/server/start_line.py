"""The line at the start: where the gateway listens, and what it is and runs with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway import __version__, build
from gateway.downstream.listening.tls import end_of
from gateway.protocols.theeye.redaction import redacted_address
from gateway.sync.keys.stores import is_unshared
from gateway.wording import shown

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config import Config, ListenConfig


def start_line(
    config: Config, settings_file: Path | None, *, workers: int, url: str, admin_url: str
) -> str:
    """``url`` is for clients; without a ``settings_file`` there are only variables and arguments.

    An upstream's address is shown without what may be secret in it.
    """
    settings = "without a file" if settings_file is None else shown(str(settings_file))
    return (
        f"version {__version__} ({build()}) listening on {url}, for operators on {admin_url}"
        f" (upstream {redacted_address(config.upstream.url)}, settings {settings},"
        f" workers {workers}, limits {config.limits.mode}, TLS {_tls(config.listen)},"
        f" {_stores(config)})"
    )


def _tls(listen: ListenConfig) -> str:
    if not listen.tls_cert_file:
        return "off"
    end = end_of(listen.tls_cert_file)
    return "on" if end is None else f"until {datetime.fromtimestamp(end, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _stores(config: Config) -> str:
    """Where is kept what outlives a request: memory is lost with the process, Redis shared."""
    shared = "redis" if config.redis.url else "memory"
    keeps_no_keys = config.sync.idempotency_seconds == 0 or is_unshared(config)
    keys = "off" if keeps_no_keys else shared
    budgets = "off" if config.limits.mode == "off" else shared
    return f"results {config.sync.result_store}, keys {keys}, budgets {budgets}"
