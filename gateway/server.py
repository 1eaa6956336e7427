"""Listeners, signals, drain: the life of the process around the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.app import Gateway

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Self

    from gateway.config import Config

_log = logging.getLogger("gateway")
BACKLOG = 1024
CLOSE_SECONDS = 0.5
"""What requests still running after the drain get to notice that they are cancelled."""


def serve(config: Config) -> int:
    """Run until SIGTERM or SIGINT; the process's exit status."""
    logging.basicConfig(
        level=config.log.level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    spare_the_collector()
    try:
        run(_until_signalled(config))
    except OSError as failure:
        _log.error("cannot listen: %s", failure)
        return 1
    return 0


def spare_the_collector() -> None:
    """Look for reference cycles rarely.

    What a request leaves behind goes by reference counts; the default thresholds would walk through
    all requests in flight every few of them, which shows with some hundred clients.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def run(main: Coroutine[None, None, None]) -> None:
    """Run on uvloop where it exists."""
    if sys.platform == "win32":  # pragma: no cover
        asyncio.run(main)
        return
    import uvloop  # noqa: PLC0415 - there is none for Windows

    uvloop.run(main)


async def _until_signalled(config: Config) -> None:
    signalled: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.put_nowait, number)
    async with Server(config) as server:
        _log.info("listening on %s, for operators on %s", server.url, server.admin_url)
        await signalled.get()
        _log.info("draining for at most %g s; a second signal ends it", config.listen.drain_seconds)
        await _first_of(server.drain(), signalled.get())
    _log.info("stopped")


async def _first_of(*waits: Coroutine[None, None, object]) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait) for wait in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


class Server:
    """The gateway with its two listeners, as an ``async with`` block."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._resources = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        listen, admin = self._config.listen, self._config.admin
        async with contextlib.AsyncExitStack() as stack:
            self._gateway = await stack.enter_async_context(Gateway(self._config))
            runner = web.AppRunner(self._gateway.admin, access_log=None, shutdown_timeout=1)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, admin.host, admin.port).start()
            self.admin_url = _url(runner.addresses[0])
            stack.push_async_callback(self._gateway.listener.shutdown, CLOSE_SECONDS)
            stack.callback(self._gateway.cut)
            self._server = await asyncio.get_running_loop().create_server(
                self._gateway.listener, listen.host, listen.port, backlog=BACKLOG
            )
            stack.callback(self._server.close)
            self.url = _url(self._server.sockets[0].getsockname())
            self._resources = stack.pop_all()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._resources.aclose()

    async def drain(self) -> None:
        """Accept nothing new, hand back what is held, let the rest run for ``drain_seconds``."""
        self._server.close()
        self._gateway.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.listen.drain_seconds):
                await self._gateway.until_idle()


def _url(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
