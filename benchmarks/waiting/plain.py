"""A plain gateway as one writes it with aiohttp: each held request reads its job every second.

Usage: python -m benchmarks.waiting.plain PORT UPSTREAM-URL LAG-FILE
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from aiohttp import ClientSession, TCPConnector, web

from benchmarks.waiting.lag import Lag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FINISHED = {"finished", "terminated", "canceled", "expired", "completed"}
EVERY_SECONDS = 1.0
SESSION = web.AppKey("session", ClientSession)
UPSTREAM = web.AppKey("upstream", str)
LAG_FILE = web.AppKey("lag_file", Path)


async def result(request: web.Request) -> web.Response:
    """Reads with the caller's token until the job has ended or ``timeout`` is over."""
    url = f"{request.app[UPSTREAM]}/acme/job/{request.match_info['job']}"
    fields = {"Authorization": request.headers["Authorization"]}
    loop = asyncio.get_running_loop()
    until = loop.time() + float(request.query["timeout"])
    while loop.time() < until:
        async with request.app[SESSION].get(url, headers=fields) as response:
            job = await response.json()
        if job["lifecycle"] in FINISHED:
            return web.Response(text=job["output"][0], content_type="application/json")
        await asyncio.sleep(EVERY_SECONDS)
    return web.Response(status=303, headers={"Location": request.path_qs})


async def parts(app: web.Application) -> AsyncIterator[None]:
    Lag(app[LAG_FILE])
    async with ClientSession(connector=TCPConnector(limit=512)) as session:
        app[SESSION] = session
        yield


def main() -> None:
    app = web.Application()
    app[UPSTREAM], app[LAG_FILE] = sys.argv[2], Path(sys.argv[3])
    app.cleanup_ctx.append(parts)
    app.router.add_get("/job/{job}/result", result)
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        backlog=1024,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
