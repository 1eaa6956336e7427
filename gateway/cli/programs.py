"""What the commands start. Each is imported when it is asked for: the others need none of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.config import Config


def _serve(config: Config, settings_file: Path | None) -> int:
    from gateway.server.server import serve  # noqa: PLC0415

    return serve(config, settings_file)


def _serve_with_workers(config: Config, settings_file: Path | None) -> int:
    from gateway.server.workers.parent import serve  # noqa: PLC0415

    return serve(config, settings_file)


def _demo(listen: tuple[str, int] | None, check: bool) -> int:
    from gateway.demo.showcase import demo  # noqa: PLC0415

    return demo(listen, check)


@dataclass(frozen=True, slots=True)
class Programs:
    """Each runs until it is told to end, and returns the process's exit status."""

    serve: Callable[[Config, Path | None], int] = _serve
    """The gateway as one process, with the file that its settings come from."""
    serve_with_workers: Callable[[Config, Path | None], int] = _serve_with_workers
    demo: Callable[[tuple[str, int] | None, bool], int] = _demo
    """The demonstration: where it listens, and whether it only makes its calls."""


PROGRAMS = Programs()
