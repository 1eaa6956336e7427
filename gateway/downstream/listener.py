"""The client port: one handler, no routes, no opinions on content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from gateway.downstream.connection import Accept, Connection, Terms

if TYPE_CHECKING:
    from gateway.admission.connections import Connections
    from gateway.config import LimitsConfig, ListenConfig
    from gateway.downstream.listening.places import Places

IDLE_SECONDS = 5.0
"""How long an unused connection is kept where places are short."""
MAX_FIELDS = 256
"""Field lines of a request."""


class ClientListener(web.Server):
    """A protocol factory; a handler is cancelled when its client leaves."""

    def __init__(
        self,
        accept: Accept,
        listen: ListenConfig,
        limits: LimitsConfig,
        connections: Connections | None,
        places: Places,
    ) -> None:
        self._terms = Terms(
            accept=accept,
            places=places,
            by_address=connections,
            is_enforced=limits.mode == "enforce",
            idle_seconds=listen.idle_seconds,
            floor=listen.min_content_bytes_per_second,
            fields_bytes=limits.fields_bytes,
        )
        # aiohttp's own handler is never called: connections hand their requests to ours.
        super().__init__(cast("Any", accept), handler_cancellation=True)
        self._options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": listen.keepalive_seconds,
            # By the bound that it broke one can tell what was too long.
            "max_field_size": limits.fields_bytes + (limits.fields_bytes == limits.target_bytes),
            "max_headers": MAX_FIELDS,
            "max_line_size": limits.target_bytes,
        }

    def __call__(self) -> Connection:
        return Connection(self, self._terms, **self._options)

    def refuse(self) -> Connection:
        """A connection that is told that there is no place for it."""
        return Connection(self, self._terms, has_place=False, **self._options)

    @property
    def is_sending(self) -> bool:
        """Some client has not taken all that it was sent."""
        transports = [connection.transport for connection in self.connections]
        return any(t is not None and t.get_write_buffer_size() > 0 for t in transports)

    def close_idle(self) -> None:
        """Close connections that are kept and have not been used for a while."""
        for connection in self.connections:
            assert isinstance(connection, Connection)
            connection.close_if_idle(IDLE_SECONDS)
