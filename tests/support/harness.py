"""The gateway on free ports, and the real clients that are set on it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway.config import Config
from gateway.config.effective import Effective
from gateway.config.timing import Timing
from gateway.server.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from ssl import SSLContext

    from gateway.proxy.pipeline import Observer

ON_FREE_PORTS = {"host": "127.0.0.1", "port": 0}
PATIENCE_SECONDS = 60
"""Until something is taken to hang: on a busy machine it takes some seconds to start a gateway."""
CURL_DEFAULTS = f"silent\nshow-error\ninclude\nmax-time = {PATIENCE_SECONDS}\n"
CROSS_ORIGIN = [
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Headers",
]
_RID = re.compile(r"&rid=([0-9a-f]{32})$")
_JOB_ID = re.compile(rb"[0-9a-f]{8}78d0df5c09[0-9a-f]{6}")
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def settings(upstream_url: str, **sections: dict[str, Any]) -> Config:
    """Settings for a gateway on free ports in front of ``upstream_url``."""
    tree: dict[str, dict[str, Any]] = {
        "listen": {**ON_FREE_PORTS, "drain_seconds": 5.0},
        "admin": dict(ON_FREE_PORTS),
        "upstream": {"url": upstream_url},
        "log": {"access": False},
        # All is counted, but no test is refused for being fast unless it asks for that.
        "limits": {"mode": "report"},
    }
    for name, section in sections.items():
        tree.setdefault(name, {}).update(section)
    return msgspec.convert(tree, Config)


@asynccontextmanager
async def gateway_before(
    upstream_url: str, *observers: Observer, **sections: dict[str, Any]
) -> AsyncIterator[Server]:
    """A running gateway in this process."""
    async with Server(Effective(settings(upstream_url, **sections)), observers=observers) as server:
        yield server


@asynccontextmanager
async def gateway_timed(
    timing: Timing, upstream_url: str, **sections: dict[str, Any]
) -> AsyncIterator[Server]:
    """A running gateway in this process with times of its own."""
    async with Server(Effective(settings(upstream_url, **sections)), timing=timing) as server:
        yield server


@dataclass(frozen=True)
class Shown:
    """One response as a client saw it."""

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


def program(name: str) -> str:
    """Where a program of the system is. Without it a test is skipped, but never in CI."""
    found = shutil.which(name)
    if found is None and "CI" in os.environ:
        pytest.fail(f"{name} is not installed")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def has_ipv6() -> bool:
    """Whether this machine can be reached by IPv6, if only by itself."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


async def curl(*arguments: str, content: bytes = b"") -> list[Shown]:
    """Every response curl got, without interim ones. Of redirects it follows it shows no content.

    Raises:
        AssertionError: curl failed, with its exit status in the message.
    """
    return await _curled(["curl", *arguments], content, {})


async def pasted(command: str, **variables: str) -> list[Shown]:
    """The same for a curl command line as a user pastes it into a shell."""
    return await _curled(["bash", "-c", command], b"", variables)


async def _curled(command: list[str], content: bytes, variables: dict[str, str]) -> list[Shown]:
    program("curl")
    with tempfile.TemporaryDirectory() as home:
        Path(home, ".curlrc").write_text(CURL_DEFAULTS)  # noqa: ASYNC240 - a few bytes
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "CURL_HOME": home, **variables},
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
        """The next response's head."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> tuple[bytes, bytes]:
        """The next response's head and content, which has a length or comes in chunks."""
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
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.read()


@asynccontextmanager
async def connected(url: str, tls: SSLContext | None = None) -> AsyncIterator[RawClient]:
    """A raw connection to ``http://host:port``, or with ``tls`` to ``https://host:port``."""
    host, port = url.partition("://")[2].rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=tls)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


async def once(url: str, message: bytes, tls: SSLContext | None = None) -> tuple[bytes, bytes]:
    """One request on a connection of its own: its response's head and content."""
    async with connected(url, tls) as client:
        await client.send(message)
        return await client.answer()


def wait_id(address: str) -> str:
    """The id of its wait in the address of a result, at its end."""
    found = _RID.search(address)
    assert found, address
    return found[1]


def nameless(address: str) -> str:
    """The address of a result without the id of its wait, which it must have."""
    return address.removesuffix(f"&rid={wait_id(address)}")


def without_what_varies(content: bytes) -> bytes:
    """The content of an embedded orchestrator's response without job ids and times."""
    return _TIME.sub(b"TIME", _JOB_ID.sub(b"JOB", content))


def readable(line: str) -> str:
    """A line of stderr as text, where it is JSON."""
    if not line.startswith("{"):
        return line
    told = json.loads(line)
    who = f"worker {told['worker']}: " if "worker" in told else ""
    exception = "".join(f"\n    {part}" for part in told.get("exception", "").splitlines())
    level = told["level"].upper()
    return f"{told['time']} {level} {told['logger']}: {who}{told['message']}{exception}\n"


@dataclass
class Process:
    """``python -m gateway serve`` as it runs; what it printed is there once it has ended."""

    running: asyncio.subprocess.Process
    told: str = ""
    """What it wrote to stderr; JSON lines as people read them, as ``log.format = "text"`` does."""
    logged: str = ""
    """What it wrote to stdout: the access log."""
    url: str = ""
    admin_url: str = ""

    def signal(self, number: int) -> None:
        self.running.send_signal(number)

    async def ended(self) -> int:
        """Its exit status."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            logged, told = await self.running.communicate()
        self.logged += (logged or b"").decode()
        self.told += "".join(map(readable, told.decode().splitlines(keepends=True)))
        assert self.running.returncode is not None
        return self.running.returncode

    async def until_told(self, text: str) -> str:
        """Wait until it writes a line with ``text`` to stderr: the line."""
        assert self.running.stderr is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while written := (await self.running.stderr.readline()).decode():
                line = readable(written)
                self.told += line
                if text in line:
                    return line
        raise AssertionError(self.told)

    async def until_listening(self) -> None:
        """Wait until it says where."""
        line = await self.until_told("listening on ")
        found = re.search(r"listening on (\S+), for operators on (\S+)", line)
        assert found, line
        self.url, self.admin_url = found.groups()


@asynccontextmanager
async def process(
    *arguments: str,
    log_file: str = "",
    descriptors: str = "",
    coverage: str = "off",
    **variables: str,
) -> AsyncIterator[Process]:
    """A gateway of its own process, set up by the environment mostly: ``listen__port="0"``.

    Its access log goes to ``log_file`` where that is given. ``descriptors`` are options of the
    shell's ``ulimit``: how many it may have. With ``coverage`` "on" it is measured as well, and
    takes nearly twice as long for everything.
    """
    limited = ("sh", "-c", 'ulimit $0 && exec "$@"', descriptors) if descriptors else ()
    given = {f"GATEWAY_{name.upper()}": value for name, value in variables.items()}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    if coverage == "off":
        inherited.pop("COVERAGE_PROCESS_CONFIG", None)
    with Path(log_file or os.devnull).open("wb") as file:  # noqa: ASYNC230 - a local file
        running = await asyncio.create_subprocess_exec(
            *(*limited, sys.executable, "-m", "gateway", "serve", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file if log_file else asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**inherited, **given},
        )
    try:
        yield Process(running)
    finally:
        if running.returncode is None:
            with suppress(ProcessLookupError):
                running.kill()
            await running.communicate()


@asynccontextmanager
async def process_before(
    upstream_url: str,
    *arguments: str,
    descriptors: str = "",
    coverage: str = "off",
    **variables: str,
) -> AsyncIterator[Process]:
    """A gateway of its own process that listens on free ports."""
    variables |= {"listen__host": "127.0.0.1", "listen__port": "0", "admin__port": "0"}
    variables["upstream__url"] = upstream_url
    async with process(
        *arguments, descriptors=descriptors, coverage=coverage, **variables
    ) as gateway:
        await gateway.until_listening()
        yield gateway
