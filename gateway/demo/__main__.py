"""The orchestrator as a process: ``python -m gateway.demo``. Prints its URL."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from gateway.demo.orchestrator import Orchestrator
from gateway.demo.versions import Version
from gateway.server.signals import on_end


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m gateway.demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=60080, help="0 for any that is free")
    parser.add_argument("--service-ms", type=float, default=0.0, help="what every answer takes")
    parser.add_argument("--redis", default="", metavar="URL", help="told of each job that ended")
    parser.add_argument(
        "--version",
        type=Version,
        choices=list(Version),
        default=Version.ASYNC_ONLY,
        help="of TheEye: which one it is",
    )
    options = parser.parse_args(argv)
    asyncio.run(
        serve(
            options.host,
            options.port,
            service_seconds=options.service_ms / 1000,
            redis_url=options.redis,
            version=options.version,
        )
    )


async def serve(host: str, port: int, **known: Any) -> None:
    """Serves until SIGINT or SIGTERM; ``known`` is for the orchestrator."""
    stopped = asyncio.Event()
    on_end(lambda _: stopped.set())
    async with Orchestrator.serving(host, port, **known) as orchestrator:
        sys.stdout.write(f"{orchestrator.url}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    main()
