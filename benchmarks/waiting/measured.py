"""The gateway, with its event loop watched; set up by the environment.

Usage: python -m benchmarks.waiting.measured LAG-FILE
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from benchmarks.waiting.lag import Lag
from gateway.cli.sources import load
from gateway.server import runtime, server


async def serve(file: Path) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with server.Server(load(None, os.environ, ())):
        Lag(file)
        await stopped.wait()


if __name__ == "__main__":
    runtime.spare_the_collector()
    runtime.run(serve(Path(sys.argv[1])))
