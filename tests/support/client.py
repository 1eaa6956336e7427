"""Requests of a client that is no connection: what is sent to it is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.downstream.content import RequestContent
from gateway.downstream.listening.places import Places
from gateway.downstream.messages.request_head import RequestHead
from gateway.downstream.peer import Peer
from gateway.downstream.request import Client
from gateway.protocols.http.fields import lowered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.errors import Field

GAP_SECONDS = 0.001
"""Between two pieces of content."""


class Kept(asyncio.Transport):
    """Keeps what is written to it, until it is closed."""

    def __init__(self, address: str = "192.0.2.7") -> None:
        super().__init__(extra={"peername": (address, 40_000)} if address else {})
        self.written = b""
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = True


def client(
    method: str = "GET",
    target: str = "/",
    fields: Sequence[Field] = (),
    *,
    content: Sequence[bytes] | None = None,
    address: str = "192.0.2.7",
    transport: asyncio.Transport | None = None,
) -> Client:
    """A request by HTTP/1.1 whose head has come.

    Of its ``content`` the first piece has come too, the others follow; None: it has none.
    """
    head = RequestHead(
        method,
        target,
        tuple(fields),
        lowered(fields),
        (1, 1),
        keeps_alive=True,
        is_chunked=False,
        length=0,
    )
    coming = None
    if content is not None:
        coming = RequestContent(idle_seconds=5.0, floor=0.0, on_taken=lambda: None)
        _feed(coming, list(content))
    peer = Peer(transport or Kept(address))
    return Client(head, coming, peer, Places(100), 5.0)


def _feed(content: RequestContent, pieces: list[bytes]) -> None:
    content.feed(pieces[:1], is_last=len(pieces) < 2)
    if len(pieces) > 1:
        asyncio.get_running_loop().call_later(GAP_SECONDS, _feed, content, pieces[1:])
