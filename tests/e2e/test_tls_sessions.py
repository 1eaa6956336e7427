"""TLS sessions that clients resume at any of several workers, and what these are forked from."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gateway.server.forking.child import adopting_orphans
from tests.support.certificates import self_signed
from tests.support.harness import process_before
from tests.support.processes import (
    children_of,
    sockets_of,
    standing_still,
    state,
    workers_of,
    zygote_of,
)
from tests.support.replay import until
from tests.support.upstream import upstream_answering

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.certificates import Files
    from tests.support.harness import Process

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/comm").exists(), reason="this system does not tell of processes"
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@asynccontextmanager
async def gateway_with(files: Files, workers: int = 2) -> AsyncIterator[Process]:
    async with (
        upstream_answering(OK) as script,
        process_before(
            script.url, "--workers", str(workers), coverage="on", **files.variables
        ) as gateway,
    ):
        yield gateway


class Browser:
    """A client that trusts the certificate that the files have at this moment, and resumes the
    last session it has had."""

    def __init__(
        self, gateway: Process, files: Files, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> None:
        self._gateway = gateway
        self._context = files.trusting()
        self._context.minimum_version = self._context.maximum_version = version
        self._session: ssl.SSLSession | None = None

    async def resumes_at(self, worker: int) -> bool:
        """Ask this worker; whether it has gone on with the session."""
        others = [pid for pid in workers_of(self._gateway) if pid != worker]
        async with standing_still(others):
            return await asyncio.to_thread(self._ask)

    def _ask(self) -> bool:
        address = urlsplit(self._gateway.url)
        plain = socket.create_connection((address.hostname, address.port), 30)
        with self._context.wrap_socket(
            plain, server_hostname=address.hostname, session=self._session
        ) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            self._session = client.session
            return bool(client.session_reused)


@dataclass(frozen=True)
class Begun:
    """Two workers, the first of which has begun a session."""

    gateway: Process
    files: Files
    browser: Browser
    first: int
    second: int

    async def successor(self, killed: int) -> int:
        """What runs beside the second worker, once ``killed`` was."""
        os.kill(killed, signal.SIGKILL)
        await self.gateway.until_told("another one starts")
        await until(lambda: len(workers_of(self.gateway)) == 2)
        [found] = set(workers_of(self.gateway)) - {self.second}
        return found


@asynccontextmanager
async def begun(folder: Path) -> AsyncIterator[Begun]:
    files = self_signed(folder)
    async with gateway_with(files) as gateway:
        browser = Browser(gateway, files)
        first, second = workers_of(gateway)
        await browser.resumes_at(first)
        yield Begun(gateway, files, browser, first, second)


@pytest.mark.parametrize("version", VERSIONS)
async def test_rfc_8446_2_2_session_is_resumed_at_every_worker(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """RFC 8446, 2.2; for TLS 1.2 RFC 5077."""
    files = self_signed(tmp_path)
    async with gateway_with(files, 3) as gateway:
        browser = Browser(gateway, files, version)
        first, *others = workers_of(gateway)
        assert not await browser.resumes_at(first)
        for worker in (*others, first):
            assert await browser.resumes_at(worker)


@pytest.mark.parametrize("version", VERSIONS)
async def test_sessions_with_a_renewed_certificate_are_shared_as_well(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    files = self_signed(tmp_path)
    async with gateway_with(files) as gateway:
        first, second = workers_of(gateway)
        before = Browser(gateway, files, version)
        await before.resumes_at(first)
        # Of another type: none of the former one may be left in the context.
        files.replace(self_signed(tmp_path, "renewed", rsa_bits=2048))
        gateway.signal(signal.SIGHUP)
        await gateway.until_told("read again: listen.tls_cert_file, listen.tls_key_file")
        for worker in (first, second):
            # No session begun with the former certificate goes on, so it is not trusted any more.
            with pytest.raises(ssl.SSLCertVerificationError):
                await before.resumes_at(worker)
        browser = Browser(gateway, files, version)
        assert not await browser.resumes_at(first)
        assert await browser.resumes_at(second)
        assert await browser.resumes_at(first)


async def test_reload_of_the_same_certificate_ends_no_session(tmp_path: Path) -> None:
    async with begun(tmp_path) as it:
        it.gateway.signal(signal.SIGHUP)
        await it.gateway.until_told("nothing has changed")
        assert await it.browser.resumes_at(it.second)


async def test_refused_pair_leaves_the_sessions_as_they_were(tmp_path: Path) -> None:
    async with begun(tmp_path) as it:
        key = it.files.key.read_bytes()
        it.files.key.write_bytes(self_signed(tmp_path, "other").key.read_bytes())
        it.gateway.signal(signal.SIGHUP)
        await it.gateway.until_told("all stays as it was")
        assert await it.browser.resumes_at(it.second)
        it.files.key.write_bytes(key)
        it.gateway.signal(signal.SIGHUP)
        await it.gateway.until_told("read again: listen.tls_key_file")
        await it.browser.resumes_at(it.first)
        assert await it.browser.resumes_at(it.second)


async def test_new_worker_resumes_sessions_of_those_before_it(tmp_path: Path) -> None:
    async with begun(tmp_path) as it:
        third = await it.successor(it.first)
        assert await it.browser.resumes_at(third)


async def test_new_worker_with_a_certificate_of_its_own_resumes_no_session_of_the_former_one(
    tmp_path: Path,
) -> None:
    """The files are renewed, and no reload has taken them up yet."""
    async with begun(tmp_path) as it:
        it.files.replace(self_signed(tmp_path, "renewed"))
        third = await it.successor(it.first)
        with pytest.raises(ssl.SSLCertVerificationError):
            await it.browser.resumes_at(third)
        assert await it.browser.resumes_at(it.second)
        it.gateway.signal(signal.SIGHUP)
        await it.gateway.until_told("read again: listen.tls_cert_file, listen.tls_key_file")
        later = Browser(it.gateway, it.files)
        assert not await later.resumes_at(third)
        assert await later.resumes_at(it.second)


async def test_end_of_what_workers_are_forked_from_is_noticed_by_no_client(tmp_path: Path) -> None:
    async with begun(tmp_path) as it:
        os.kill(zygote_of(it.gateway), signal.SIGKILL)
        assert await it.browser.resumes_at(it.second)
        third = await it.successor(it.first)
        # It knows nothing of sessions that older workers began.
        assert not await it.browser.resumes_at(third)
        it.gateway.signal(signal.SIGTERM)
        assert await it.gateway.ended() == 0
    assert "another process begins that workers are forked from" in it.gateway.told
    assert "Traceback" not in it.gateway.told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_nothing_is_left_of_it_once_it_has_ended(
    tmp_path: Path, number: signal.Signals
) -> None:
    files = self_signed(tmp_path)
    async with gateway_with(files) as gateway:
        pids = children_of(gateway.running.pid)
        assert len(pids) == 3
        gateway.signal(number)
        await gateway.ended()
        await until(lambda: {state(pid) for pid in pids} <= {"", "Z"})
    assert "Traceback" not in gateway.told


async def test_signal_to_all_its_processes_at_once_is_one_to_it(tmp_path: Path) -> None:
    """As systemd sends it (KillMode=control-group)."""
    files = self_signed(tmp_path)
    async with gateway_with(files) as gateway:
        await Browser(gateway, files).resumes_at(workers_of(gateway)[0])
        for pid in (*children_of(gateway.running.pid), gateway.running.pid):
            os.kill(pid, signal.SIGTERM)
        assert await gateway.ended() == 0
    assert "Traceback" not in gateway.told
    assert "another one starts" not in gateway.told


async def test_workers_have_no_way_to_ask_for_more_of_them(tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    async with gateway_with(files) as gateway:
        asked = sockets_of(zygote_of(gateway))
        assert len(asked) == 1
        for worker in workers_of(gateway):
            assert not {*asked} & {*sockets_of(worker)}


def test_this_system_lets_workers_be_forked() -> None:
    """Else the other tests would tell of workers that are programs."""
    with adopting_orphans() as can_adopt:
        assert can_adopt
