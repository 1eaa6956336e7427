"""Requests of the gateway's own as spans of the traces that they are made for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.upstream.messages.messages import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.errors import Field
    from gateway.upstream.client import Upstream
    from gateway.upstream.messages.messages import Purpose, UpstreamResponse


class TracedUpstream:
    """The upstream, with a span for each request whose ``heard`` is of a trace."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def request(
        self,
        method: str,
        target: str,
        fields: Sequence[Field],
        content: bytes = b"",
        *,
        purpose: Purpose,
        max_bytes: int,
        make_room: Callable[[int], None] | None = None,
        heard: Heard | None = None,
    ) -> UpstreamResponse:
        """As ``Upstream.request``."""
        send = partial(
            self._upstream.request,
            method,
            target,
            content=content,
            purpose=purpose,
            max_bytes=max_bytes,
            make_room=make_room,
        )
        if heard is None or heard.trace is None:
            return await send(fields=fields, heard=heard)
        own, failure = Heard(), None
        sending = heard.trace.sends(purpose, method, target)
        try:
            return await send(fields=sending.fields(fields), heard=own)
        except BaseException as raised:
            failure = raised
            raise
        finally:
            heard.note(own.status, own.seconds)
            heard.was_sent = heard.was_sent or own.was_sent
            sending.over(own.status, failure)
