"""What the commands start. Each is imported when it is asked for: the others need none of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.cli.trying.finding import Finding
    from gateway.config import Config
    from gateway.config.effective import Effective


def _serve(settings: Effective) -> int:
    from gateway.server.server import serve  # noqa: PLC0415

    return serve(settings)


def _serve_with_workers(settings: Effective) -> int:
    from gateway.server.supervision.parent import serve  # noqa: PLC0415

    return serve(settings)


def _demo(listen: tuple[str, int] | None, check: bool) -> int:
    from gateway.demo.showcase import demo  # noqa: PLC0415

    return demo(listen, check)


def _connect(config: Config) -> list[Finding]:
    from gateway.cli.trying.tries import try_all  # noqa: PLC0415

    return try_all(config)


@dataclass(frozen=True, slots=True)
class Programs:
    """Those that return an exit status, the process's, run until they are told to end."""

    serve: Callable[[Effective], int] = _serve
    """The gateway as one process."""
    serve_with_workers: Callable[[Effective], int] = _serve_with_workers
    demo: Callable[[tuple[str, int] | None, bool], int] = _demo
    """The demonstration: where it listens, and whether it only makes its calls."""
    connect: Callable[[Config], list[Finding]] = _connect
    """Tries what the settings name, and does not run on."""


PROGRAMS = Programs()
