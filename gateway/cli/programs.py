"""What the commands start. Each is imported when it is asked for: the others need none of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config.effective import Effective


def _serve(settings: Effective) -> int:
    from gateway.server.server import serve  # noqa: PLC0415

    return serve(settings)


def _serve_with_workers(settings: Effective) -> int:
    from gateway.server.workers.parent import serve  # noqa: PLC0415

    return serve(settings)


def _demo(listen: tuple[str, int] | None, check: bool) -> int:
    from gateway.demo.showcase import demo  # noqa: PLC0415

    return demo(listen, check)


@dataclass(frozen=True, slots=True)
class Programs:
    """Each runs until it is told to end, and returns the process's exit status."""

    serve: Callable[[Effective], int] = _serve
    """The gateway as one process."""
    serve_with_workers: Callable[[Effective], int] = _serve_with_workers
    demo: Callable[[tuple[str, int] | None, bool], int] = _demo
    """The demonstration: where it listens, and whether it only makes its calls."""


PROGRAMS = Programs()
