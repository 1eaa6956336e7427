"""What a listener's connections have in common, and what they want of who answers requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.downstream.listening.seat import Seating
    from gateway.downstream.request import Client
    from gateway.errors import GatewayError
    from gateway.tasks import Tasks


class RequestCycle(Protocol):
    """One request's way to its response."""

    def begin_at_once(self, on_progress: Callable[[bool], None]) -> bool:
        """Whether it goes on by itself until ``on_progress`` is told whether it is over; else, and
        where it is not over then, ``run`` is to be awaited."""
        raise NotImplementedError

    async def run(self) -> None:
        """Do all that is left to do."""
        raise NotImplementedError

    def abandon(self) -> None:
        """End it: the client is gone, and ``run`` was not called."""
        raise NotImplementedError


class Accept(Protocol):
    """Begins with a request whose head has come. ``refusal``: why it cannot be passed on;
    ``limit``: what its connection is over."""

    def __call__(self, client: Client, refusal: GatewayError | None, limit: str) -> RequestCycle:
        raise NotImplementedError


class Terms:
    """What is the same for all connections of a listener; times in seconds. ``floor`` is the
    least rate of a request's content, in bytes a second."""

    def __init__(
        self,
        accept: Accept,
        seating: Seating,
        tasks: Tasks,
        *,
        keepalive_seconds: float,
        idle_seconds: float,
        floor: float,
        target_bytes: int,
        fields_bytes: int,
    ) -> None:
        self.accept = accept
        self.seating = seating
        self.tasks = tasks
        self.keepalive_seconds = keepalive_seconds
        self.idle_seconds = idle_seconds
        self.floor = floor
        self.target_bytes = target_bytes
        self.fields_bytes = fields_bytes
