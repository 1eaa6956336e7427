"""A real HAProxy before gateways, set up as the file that operators are given says."""

from __future__ import annotations

import asyncio
import csv
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.harness import program
from tests.support.replay import until, until_found

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FILE = Path(__file__).parent.parent.parent / "config" / "haproxy" / "haproxy.cfg"


@dataclass(frozen=True)
class Backend:
    """A gateway's ports on the loopback interface."""

    port: int
    admin_port: int


@dataclass(frozen=True)
class HAProxy:
    url: str
    control: Path
    """The socket that it answers questions on."""
    log: Path

    async def statuses(self) -> dict[str, str]:
        """Of each server by its name: UP, DOWN, and so on."""
        reader, writer = await asyncio.open_unix_connection(self.control)
        writer.write(b"show stat\n")
        table = (await reader.read()).decode().lstrip("# ")
        writer.close()
        rows = csv.DictReader(table.strip().splitlines())
        return {
            row["svname"]: row["status"]
            for row in rows
            if row["svname"] not in {"FRONTEND", "BACKEND"}
        }

    def failures(self) -> list[str]:
        """The servers of requests that did not end as they should, by its log. It says nothing of
        one that was not the first of its connection: that is closed, and the client repeats it."""
        found = []
        for line in self.log.read_text("utf-8").splitlines():
            ended = re.search(r" gateways/(\S+) \S+ (\S+) \d+ - - (\S{4}) ", line)
            if ended is not None and ended[3] != "----":
                found.append(ended[1])
        return found

    async def until(self, server: str, status: str) -> None:
        """Wait until it finds the server to be so."""

        async def is_so() -> bool:
            return (await self.statuses())[server].startswith(status)

        await until_found(is_so)


def settings(port: int, control: Path, backends: dict[str, Backend]) -> str:
    """The operators' file with other addresses, and with checks that are more frequent."""
    text = FILE.read_text("utf-8")
    text = re.sub(r"(?m)^global$", f"global\n    stats socket {control}", text)
    text = re.sub(r"bind \S+", f"bind 127.0.0.1:{port}", text)
    text = text.replace("inter 1s", "inter 100ms")
    for name, backend in backends.items():
        address = f"127.0.0.1:{backend.port} port {backend.admin_port}"
        text, found = re.subn(rf"(server {name}) \S+ port \d+", rf"\1 {address}", text)
        assert found == 1, name
    return text


@asynccontextmanager
async def haproxy_before(
    folder: Path, port: int, backends: dict[str, Backend]
) -> AsyncIterator[HAProxy]:
    """HAProxy on a port of the loopback interface, once it accepts connections."""
    file, control, log = (folder / f"haproxy.{end}" for end in ("cfg", "sock", "log"))
    file.write_text(settings(port, control, backends))
    with log.open("wb") as logging:
        running = await asyncio.create_subprocess_exec(
            *(program("haproxy"), "-db", "-f", str(file)), stdout=logging
        )
    try:
        await until(control.exists)
        yield HAProxy(f"http://127.0.0.1:{port}", control, log)
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()
