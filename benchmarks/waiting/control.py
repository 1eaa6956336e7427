"""Programs that are told what to do line by line, JSON both ways, over their stdin and stdout."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

LINE_BYTES = 16 * 1024 * 1024


class Told:
    """A running program that does what it is told."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen

    def tell(self, what: str, **arguments: object) -> Any:
        """Tell it and wait for what it answers.

        Raises:
            RuntimeError: it ended.
        """
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
        self._popen.stdin.flush()
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._popen.args!r} ended instead of doing {what}")
        return json.loads(line)


@contextlib.contextmanager
def told(module: str, *arguments: str) -> Iterator[Told]:
    """Run a module that obeys."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as popen:
        try:
            yield Told(popen)
        finally:
            popen.kill()


async def obey(commands: dict[str, Callable[..., Awaitable[object]]]) -> None:
    """Do what stdin says, until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        arguments = json.loads(line)
        response = await commands[arguments.pop("do")](**arguments)
        print(json.dumps(response), flush=True)
