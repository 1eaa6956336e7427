"""The line at the start: where the gateway listens, and what it is and runs with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import __version__, build
from gateway.protocols.theeye.redaction import redacted_address
from gateway.wording import shown

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config import Config


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
        f" workers {workers}, limits {config.limits.mode})"
    )
