"""Who publishes the keys that tokens are verified with."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.admission.identity.key_set import KeySet
from tests.support.tokens import RSA, key_set

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GAP_SECONDS = 10.0
"""Between the beginnings of two fetches."""


class Issuer:
    """Serves a key set, or whatever else a test has it serve."""

    def __init__(self) -> None:
        self.url = ""
        self.content: bytes | None = key_set(k1=RSA)
        """None: it never answers."""
        self.status = 200
        self.location = ""
        self.fetches = 0
        self.seconds = 0.0
        """The clock of who fetches."""

    async def answer(self, _request: web.BaseRequest) -> web.StreamResponse:
        self.fetches += 1
        if self.content is None:
            await asyncio.Event().wait()
        headers = {"Location": self.location} if self.location else None
        return web.Response(body=self.content, status=self.status, headers=headers)

    def keys(self, *, gap_seconds: float = GAP_SECONDS, **seconds: float) -> KeySet:
        return KeySet(self.url, lambda: self.seconds, gap_seconds=gap_seconds, **seconds)


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    runner = web.ServerRunner(web.Server(issuer.answer, access_log=None), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    issuer.url = f"http://{host}:{port}/jwks.json"
    try:
        yield issuer
    finally:
        await runner.cleanup()
