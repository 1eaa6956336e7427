"""Reads of anything upstream for a client: with its own credentials, in its share of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import GatewayError, MemoryFull, ResponseTooLarge
from gateway.upstream.messages.messages import Purpose

if TYPE_CHECKING:
    from gateway.admission.limits.buffers import Buffers
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.reader import Requester
    from gateway.upstream.messages.messages import UpstreamResponse


class ClientReads:
    """``max_bytes`` bounds each of the upstream's responses, for which ``buffers`` have room."""

    def __init__(self, upstream: Requester, buffers: Buffers, max_bytes: int) -> None:
        self._upstream = upstream
        self._buffers = buffers
        self._max_bytes = max_bytes

    def reconfigure(self, max_bytes: int) -> None:
        """Have another bound, for reads to come."""
        self._max_bytes = max_bytes

    async def get(self, access: JobAccess, target: str) -> UpstreamResponse | None:
        """The response; None where the upstream is failing.

        Raises:
            ResponseTooLarge: it is larger than may be held.
            MemoryFull: there is no room for it now.
        """
        with self._buffers.of(access.client) as held:
            try:
                return await self._upstream.request(
                    "GET",
                    target,
                    access.request_fields,
                    purpose=Purpose.READ,
                    max_bytes=self._max_bytes,
                    make_room=held.grow,
                    heard=access.heard,
                )
            except (ResponseTooLarge, MemoryFull):
                raise
            except GatewayError:
                return None
