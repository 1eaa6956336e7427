"""The client port: makes a connection for each client, and knows those that are open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.downstream.connection import Connection
from gateway.downstream.listening.seat import Seating
from gateway.downstream.terms import Accept, Terms
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.connections import Connections
    from gateway.config import LimitsConfig, ListenConfig
    from gateway.downstream.listening.places import Places

LOOK_SECONDS = 0.005
"""The gap between two looks whether a connection is still open."""


class ClientListener:
    """A protocol factory; a request's task is cancelled when its client leaves. Where places are
    short an unused connection is kept for ``spare_seconds``."""

    def __init__(
        self,
        accept: Accept,
        listen: ListenConfig,
        limits: LimitsConfig,
        connections: Connections | None,
        places: Places,
        *,
        spare_seconds: float,
    ) -> None:
        self._tasks = Tasks()
        self._spare_seconds = spare_seconds
        self._seating = Seating(places, connections, is_enforced=limits.mode == "enforce")
        self._terms = Terms(
            accept,
            self._seating,
            self._tasks,
            keepalive_seconds=listen.keepalive_seconds,
            idle_seconds=listen.idle_seconds,
            floor=listen.min_content_bytes_per_second,
            target_bytes=limits.target_bytes,
            fields_bytes=limits.fields_bytes,
        )
        self.connections: set[Connection] = set()
        """Those that are open."""

    def reconfigure(self, listen: ListenConfig, limits: LimitsConfig) -> None:
        """Have other terms, also on connections that are open: of their next requests."""
        terms = self._terms
        terms.keepalive_seconds = listen.keepalive_seconds
        terms.idle_seconds = listen.idle_seconds
        terms.floor = listen.min_content_bytes_per_second
        terms.target_bytes = limits.target_bytes
        terms.fields_bytes = limits.fields_bytes
        self._seating.reconfigure(is_enforced=limits.mode == "enforce")
        for connection in self.connections:
            connection.take_terms()

    def __call__(self) -> Connection:
        return Connection(self._terms, self.connections)

    def refuse(self) -> Connection:
        """A connection that is told that there is no place for it."""
        return Connection(self._terms, self.connections, has_place=False)

    @property
    def is_sending(self) -> bool:
        """Some client has not taken all that it was sent."""
        return any(connection.peer.is_sending for connection in self.connections)

    def close_idle(self) -> None:
        """Close connections that are kept and have not been used for a while."""
        for connection in list(self.connections):
            connection.close_if_idle(self._spare_seconds)

    def hand_over(self, store: Callable[[Sequence[int]], int]) -> None:
        """Give idle connections to ``store``, by their descriptors, and let go of the first so many
        that it has taken; what clients send meanwhile stays in the kernel."""
        found = {
            connection.peer.descriptor: connection.peer
            for connection in self.connections
            if connection.is_idle
        }
        found.pop(-1, None)
        for peer in found.values():
            peer.pause_reading()
        stored = store(list(found))
        for number, peer in enumerate(found.values()):
            if number < stored:
                peer.abort()
            else:
                peer.resume_reading()

    async def shutdown(self, seconds: float) -> None:
        """End all connections: what was written may be sent for so long."""
        for connection in list(self.connections):
            connection.close()
        await self._until_all_are_lost(seconds)
        for connection in list(self.connections):
            connection.peer.abort()
        await self._until_all_are_lost(seconds)
        await self._tasks.aclose()

    async def _until_all_are_lost(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK_SECONDS)):
            if not self.connections:
                break
            await asyncio.sleep(LOOK_SECONDS)
