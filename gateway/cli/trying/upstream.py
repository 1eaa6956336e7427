"""Trying the orchestrator: a connection, and a request that needs no token."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from gateway.cli.trying.finding import Finding, Grade, of_failure
from gateway.protocols.theeye.redaction import redacted_address
from gateway.upstream.address import Address

if TYPE_CHECKING:
    from gateway.config import UpstreamConfig

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
LINE_BYTES = 64 * 1024


async def try_upstream(config: UpstreamConfig, seconds: float) -> Finding:
    """``GET /api``, within so many seconds; anything but 5xx is good."""
    what = f"upstream.url {redacted_address(config.url)}"
    loop = asyncio.get_running_loop()
    began = loop.time()
    reader = asyncio.StreamReader(LINE_BYTES)
    transport = None
    try:
        async with asyncio.timeout(seconds):
            address = Address(config)
            transport, _ = await address.dial(lambda: asyncio.StreamReaderProtocol(reader))
            connected = loop.time() - began
            assert isinstance(transport, asyncio.WriteTransport)
            head = b"GET /api HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % address.host
            transport.write(head)
            line = await reader.readline()
    except (OSError, ValueError) as failure:
        return of_failure(what, failure, ca_setting="upstream.ca_file")
    finally:
        if transport is not None:
            transport.close()
    taken = (
        f"connected in {connected * 1000:.1f} ms, answered in {(loop.time() - began) * 1000:.1f} ms"
    )
    found = _STATUS.match(line)
    if found is None:
        hint = "does something else listen there, or does it want https://?"
        return Finding(what, Grade.FAILED, "what answers there speaks no HTTP/1.1", hint)
    status = found[1].decode()
    if status.startswith("5"):
        hint = "look at the orchestrator's own log"
        return Finding(what, Grade.FAILED, f"GET /api is answered with {status}", hint)
    return Finding(what, Grade.OK, f"GET /api is answered with {status}, {taken}")
