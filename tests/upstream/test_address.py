"""Connecting to an upstream wherever it listens: TCP, a Unix socket, TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from gateway.config import UpstreamConfig
from gateway.errors import BadGateway
from gateway.upstream import Purpose, Upstream
from tests.support.harness import program

if TYPE_CHECKING:
    from pathlib import Path


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request with the value of its ``Host``."""
    with closing(writer), suppress(asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        host = head.split(b"\r\nHost: ")[1].split(b"\r\n")[0]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(host), host))
        await writer.drain()


async def asked(url: str, ca_file: str = "") -> bytes:
    upstream = Upstream(UpstreamConfig(url=url, ca_file=ca_file), time.monotonic)
    try:
        reply = await upstream.request("GET", "/", (), purpose=Purpose.READ, max_bytes=1000)
        assert await upstream.probe(5)
    finally:
        upstream.close()
        await asyncio.sleep(0.02)
    return reply.content


async def test_an_upstream_may_listen_on_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with await asyncio.start_unix_server(answering, path):
        assert await asked(f"unix:{path}") == b"localhost"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate for localhost, signed by itself, and its key."""
    files = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(
        [
            *(program("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-out", files[0], "-keyout", files[1]),
        ],
        check=True,
        capture_output=True,
    )
    return files


async def test_an_upstream_with_tls_must_be_trusted(certificate: tuple[str, str]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    server = await asyncio.start_server(answering, "localhost", 0, ssl=context)
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        assert await asked(url, ca_file=certificate[0]) == url.removeprefix("https://").encode()
        with pytest.raises(BadGateway, match="not reachable"):
            await asked(url)
