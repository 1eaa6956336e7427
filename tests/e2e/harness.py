"""The gateway on free ports, and the real clients that are set on it."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.config import Config
from gateway.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ON_FREE_PORTS = {"host": "127.0.0.1", "port": 0}


def settings(upstream_url: str, **sections: dict[str, Any]) -> Config:
    """Settings for a gateway on free ports in front of ``upstream_url``."""
    tree: dict[str, dict[str, Any]] = {
        "listen": {**ON_FREE_PORTS, "drain_seconds": 5.0},
        "admin": dict(ON_FREE_PORTS),
        "upstream": {"url": upstream_url},
        "log": {"access": False},
    }
    for name, section in sections.items():
        tree.setdefault(name, {}).update(section)
    return msgspec.convert(tree, Config)


@asynccontextmanager
async def gateway_before(upstream_url: str, **sections: dict[str, Any]) -> AsyncIterator[Server]:
    """A running gateway in this process."""
    async with Server(settings(upstream_url, **sections)) as server:
        yield server


@dataclass(frozen=True)
class Shown:
    """One answer as a client saw it."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    content: bytes

    def __getitem__(self, name: str) -> str:
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(found) == 1, (name, found)
        return found[0]

    def all(self, name: str) -> list[str]:
        """The values of every line of that name."""
        return [value for key, value in self.fields if key.lower() == name.lower()]


async def curl(*arguments: str, content: bytes = b"") -> list[Shown]:
    """Every answer curl got, redirects included; interim answers are left out.

    Raises:
        AssertionError: curl failed, with its exit status in the message.
    """
    process = await asyncio.create_subprocess_exec(
        "curl",
        "--silent",
        "--show-error",
        "--include",
        "--max-time",
        "20",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await process.communicate(content)
    assert process.returncode == 0, (process.returncode, complaints, printed[:1000])
    return list(_answers(printed))


def _answers(printed: bytes) -> list[Shown]:
    shown = []
    parts = re.split(rb"(?m)^(?=HTTP/1\.[01] \d{3})", printed)
    for part in parts[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        _, status, *reason = status_line.split(" ", 2)
        if status != "100":
            fields = [(k, v.strip()) for k, _, v in (line.partition(":") for line in lines)]
            shown.append(Shown(int(status), "".join(reason), fields, content))
    return shown


class RawClient:
    """A client that writes and reads bytes as a test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        """The next answer's head."""
        async with asyncio.timeout(5):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> tuple[bytes, bytes]:
        """The next answer's head and content, which has a length or comes in chunks."""
        head = await self.head()
        if found := re.search(rb"(?i)\r\ncontent-length: (\d+)", head):
            return head, await self.reader.readexactly(int(found[1]))
        if b"transfer-encoding: chunked" in head.lower():
            return head, await self.chunks()
        return head, b""

    async def chunks(self) -> bytes:
        content = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            content += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")
        return content

    async def until_closed(self) -> bytes:
        """All that comes until the gateway closes the connection.

        Raises:
            ConnectionResetError: it was cut.
        """
        async with asyncio.timeout(5):
            return await self.reader.read()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[RawClient]:
    """A raw connection to ``http://host:port``."""
    host, port = url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
