"""The way of a request in ``docs/ARCHITECTURE.md`` names every function that it takes."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gateway import build
from tests.support.harness import gateway_before
from tests.support.upstream import upstream_answering

if TYPE_CHECKING:
    from types import FrameType

ROOT = Path(__file__).parent.parent.parent
PACKAGE = str(ROOT / "gateway") + "/"
HEADING = "## A request, from `data_received` to `write`\n"
ROW = re.compile(r"^ *- `([\w.]+)`: (`.+`)$", re.MULTILINE)
REQUEST = b"GET /task HTTP/1.1\r\nHost: theeye\r\nAuthorization: Bearer t0ken\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ndone"


def documented() -> list[list[str]]:
    """The functions that each line names, as ``module.Class.function``."""
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    section = page.partition(HEADING)[2].partition("\n## ")[0]
    lines: list[list[str]] = []
    for module, cell in ROW.findall(section):
        owner = ""
        lines.append([])
        for name in re.findall(r"`([\w.<>]+)`", cell):
            whole = owner + name if name.startswith(".") else name
            owner = whole.rpartition(".")[0]
            lines[-1].append(f"{module}.{whole}")
    return lines


class Recorder:
    """Notes the gateway's functions that run within a ``data_received`` of its own."""

    def __init__(self) -> None:
        self.functions: dict[str, None] = {}
        self._depth = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and (self._depth or self._begins(frame)):
            self._depth += 1
            is_plain = not code.co_name.startswith(("<", "__"))
            if code.co_filename.startswith(PACKAGE) and is_plain:
                module = code.co_filename.removeprefix(PACKAGE).removesuffix(".py")
                self.functions[f"{module.replace('/', '.')}.{code.co_qualname}"] = None
        elif event == "return" and self._depth:
            self._depth -= 1

    @staticmethod
    def _begins(frame: FrameType) -> bool:
        code = frame.f_code
        return code.co_name == "data_received" and code.co_filename.startswith(PACKAGE)


async def ways() -> list[str]:
    """The functions that a relayed request takes which finds a kept connection."""
    recorder = Recorder()
    sections = {"log": {"access": True}}
    async with (
        upstream_answering(RESPONSE) as upstream,
        gateway_before(upstream.url, **sections) as server,
    ):
        address = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for is_recorded in (False, False, True):
            if is_recorded:
                sys.setprofile(recorder)
            writer.write(REQUEST)
            try:
                assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200 OK\r\n")
            finally:
                sys.setprofile(None)
        writer.close()
        await writer.wait_closed()
    return [*recorder.functions]


@pytest.mark.skipif(build() == "compiled", reason="C functions cannot be recorded so")
async def test_every_function_on_the_way_of_a_relayed_request_is_named() -> None:
    """Each line has the functions of one module in a step, so only lines stand in their order."""
    way, lines = await ways(), documented()
    named = {function for line in lines for function in line}
    assert {*way} - named == set(), "these are on the way, too"
    assert named - {*way} == set(), "these are not"
    begins = [way.index(line[0]) for line in lines]
    assert begins == sorted(begins)
