"""File descriptors of a process: how many it may have, how many it needs, and who gets them.

Each connection takes one. Where there are too few for all that the settings allow, the clients'
connections and those to the upstream are bounded so that a part is left for what cannot wait: the
upstream itself, Redis, operators.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import Config

OWN = 64
"""For listeners, operators, Redis, keys, names that are looked up, logs, and clients that are told
that there is no place."""
UPSTREAM_SHARE = 4
"""Where there are too few, so large a part of them is for the upstream: a held request needs none
but now and then."""
_OF_SELECT = 512
"""What select() takes on Windows."""


def limit() -> int:
    """How many this process may have (the soft RLIMIT_NOFILE)."""
    if sys.platform == "win32":  # pragma: no cover
        return _OF_SELECT
    return number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def most() -> int:
    """How many it may have once it has asked for more (the hard one)."""
    if sys.platform == "win32":  # pragma: no cover
        return _OF_SELECT
    return number(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def ask_for_most(set_limit: Callable[[int, tuple[int, int]], None] | None = None) -> None:
    """Raise this process's limit, and that of processes it starts, as far as it may, by
    ``resource.setrlimit`` unless another is given.
    """
    if sys.platform != "win32":
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        # macOS says that there is no bound, and has one all the same.
        with suppress(OSError, ValueError):
            (set_limit or resource.setrlimit)(resource.RLIMIT_NOFILE, (hard, hard))


def number(found: int) -> int:
    """What a limit of the system is, where none is a very high one."""
    return sys.maxsize if sys.platform != "win32" and found == resource.RLIM_INFINITY else found


@dataclass(frozen=True, slots=True)
class Allotment:
    """Who gets how many of ``limit``, where ``needed`` would be enough for all."""

    limit: int
    needed: int
    clients: int
    upstream: int

    @property
    def is_short(self) -> bool:
        return self.needed > self.limit


def allotted(limit: int, config: Config) -> Allotment:
    """What a process gets out of ``limit``: each worker has one of its own."""
    limits, upstream = config.limits, config.upstream.max_connections
    needed = limits.holds + limits.connections_per_address + upstream + OWN
    own = min(OWN, limit // 2)
    if limit < needed:
        upstream = min(upstream, max((limit - own) // UPSTREAM_SHARE, 1))
    return Allotment(limit, needed, max(limit - own - upstream, 1), upstream)


def shortage(limit: int, config: Config) -> str:
    """What an operator should know of too low a limit, empty where it is high enough."""
    allotment = allotted(limit, config)
    if not allotment.is_short:
        return ""
    limits = config.limits
    return (
        f"{limit} file descriptors are too few for the settings: {allotment.needed} may be needed"
        f" (limits.holds {limits.holds}, limits.connections_per_address"
        f" {limits.connections_per_address}, upstream.max_connections"
        f" {config.upstream.max_connections} and {OWN} others) in each process. With these"
        f" {allotment.clients} clients are let in at once and {allotment.upstream} connections to"
        " the orchestrator are open. Raise the hard limit (ulimit -Hn, LimitNOFILE=,"
        " --ulimit nofile=)"
    )
