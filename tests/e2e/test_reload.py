"""Other settings while clients are served: nobody notices, and all is taken up or nothing."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import self_signed
from tests.support.harness import connected, once, process
from tests.support.replay import until
from tests.support.upstream import upstream_answering

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.demo.orchestrator import Orchestrator
    from tests.support.certificates import Files
    from tests.support.harness import Process

GET = b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RELOADS = 20
WAITING = 200
RELAYING = 40
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Volume:
    """Files as Kubernetes mounts them: links through ``..data``, which is swapped."""

    path: Path
    version: int = 0
    names: set[str] = field(default_factory=set)

    def write(self, files: dict[str, bytes]) -> None:
        self.version += 1
        version = self.path / f"..{self.version}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_bytes(content)
            if name not in self.names:
                self.names.add(name)
                (self.path / name).symlink_to(f"..data/{name}")
        swapped = self.path / "..swapped"
        swapped.symlink_to(version.name)
        swapped.rename(self.path / "..data")


def toml(number: int, volume: Volume, upstream_url: str, workers: int, watch: float) -> bytes:
    """Settings that differ each time."""
    return f"""
        [listen]
        host = "127.0.0.1"
        port = 0
        workers = {workers}
        tls_cert_file = "{volume.path}/tls.crt"
        tls_key_file = "{volume.path}/tls.key"
        trusted_proxies = ["10.{number}.0.0/16"]
        keepalive_seconds = {60 + number}
        [admin]
        port = 0
        watch_seconds = {watch}
        [upstream]
        url = "{upstream_url}"
        [limits]
        mode = "{("enforce", "report")[number % 2]}"
        holds = {1000 + number}
        connections_per_address = {2000 + number}
        buffered_bytes = {128 * 1024 * 1024 + number}
        rules = [{{ token_hash = "{number:032x}", holds = 3 }}]
        [limits.other]
        per_second = {10_000.0 + number}
        burst = 20000
        content_bytes = 1000000
        [limits.result]
        per_second = {10_000.0 + number}
        burst = 20000
        content_bytes = 1000000
        [sync]
        default_hold_seconds = {2 + number % 3}
        max_hold_seconds = {30 + number}
        scouts = {("true", "false")[number % 2]}
        min_poll_seconds = {0.05 + number / 1000}
        follow_jobs = {10 + number}
        [log]
        format = "{("json", "text")[number % 2]}"
        access = {("true", "false")[number % 2]}
    """.encode()


class Load:
    """Clients that relay and wait, each on one connection that is kept."""

    def __init__(self, gateway: Process, files: Files, orchestrator: Orchestrator) -> None:
        self.gateway = gateway
        self.trust = files.trusting()
        self.orchestrator = orchestrator
        self.is_over = False
        self.relayed = self.hops = 0
        self.statuses: dict[str, int] = {}

    async def relay(self) -> None:
        async with connected(self.gateway.url, self.trust) as client:
            while not self.is_over:
                await client.send(GET)
                head, _ = await client.answer()
                self._count("relay", head)
                self.relayed += 1
                await asyncio.sleep(0.02)

    async def wait(self, job_id: str, token: str) -> None:
        """Follow redirects until the result is there."""
        target = f"/job/{job_id}/result?limit=1000&timeout=1&access_token={token}"
        async with connected(self.gateway.url, self.trust) as client:
            while True:
                await client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                head, content = await client.answer()
                self._count("wait", head)
                if not head.startswith(b"HTTP/1.1 303 "):
                    break
                self.hops += 1
                target = head.partition(b"\r\nLocation: ")[2].partition(b"\r\n")[0].decode()
            assert content == b'["done"]', (head, content)

    def _count(self, kind: str, head: bytes) -> None:
        key = f"{kind} {head[9:12].decode()}"
        self.statuses[key] = self.statuses.get(key, 0) + 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_reload_under_load_drops_nothing(
    workers: int, tmp_path: Path, orchestrator: Orchestrator
) -> None:
    files = [self_signed(tmp_path, f"of{number}") for number in range(2)]
    (tmp_path / "volume").mkdir()
    volume = Volume(tmp_path / "volume")

    def renew(number: int) -> None:
        of = files[number % 2]
        volume.write(
            {
                "gateway.toml": toml(number, volume, orchestrator.url, workers, 0.2),
                "tls.crt": of.cert.read_bytes(),
                "tls.key": of.key.read_bytes(),
            }
        )

    renew(0)
    token = orchestrator.tokens["acme-user"]
    jobs = [orchestrator.create("held") for _ in range(WAITING)]
    config = str(volume.path / "gateway.toml")
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(process("--config", config))
        await gateway.until_listening()
        load = Load(gateway, files[0], orchestrator)
        clients = await stack.enter_async_context(asyncio.TaskGroup())
        for job in jobs:
            clients.create_task(load.wait(job.id, token))
        for _ in range(RELAYING):
            clients.create_task(load.relay())
        await until(lambda: load.relayed > RELAYING)
        for number in range(1, RELOADS + 1):
            renew(number)
            if number % 3 == 1:
                gateway.signal(signal.SIGHUP)
            elif number % 3 == 2:
                head, _ = await once(gateway.admin_url, POST)
                assert head.startswith(b"HTTP/1.1 200 ")
            # The watch may have been first.
            await gateway.until_told(": changed: listen.trusted_proxies, listen.keepalive_seconds")
            if number % 3 < 2:
                # Whoever connects anew is shown the other certificate.
                head, _ = await once(gateway.url, GET, files[number % 2].trusting())
                assert head.startswith(b"HTTP/1.1 ")
            relayed = load.relayed
            await until(lambda before=relayed: load.relayed > before + RELAYING)  # type: ignore[misc]
        _, page = await once(gateway.admin_url, SCRAPE)
        assert b'gateway_reloads_total{verdict="refused"} 0.0' in page
        hops = load.hops
        await until(lambda: load.hops > hops)
        for job in jobs:
            orchestrator.finish(job.id, output=["done"])
        await asyncio.sleep(0)
        load.is_over = True
    assert load.statuses.pop("wait 200") == WAITING
    assert load.statuses.pop("wait 303") == load.hops
    [kind] = load.statuses
    assert kind.startswith("relay ")
    assert load.statuses[kind] == load.relayed


async def test_wrong_file_changes_nothing_and_says_why(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    async with upstream_answering(OK) as script:
        right = f"""
            [listen]
            host = "127.0.0.1"
            port = 0
            [admin]
            port = 0
            [upstream]
            url = "{script.url}"
            [limits]
            target_bytes = 1024
        """
        file.write_text(right)
        long = b"GET /" + b"a" * 1500 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        async with process("--config", str(file)) as gateway:
            await gateway.until_listening()
            assert (await once(gateway.url, long))[0].startswith(b"HTTP/1.1 414 ")
            file.write_text(right.replace("1024", "2048") + "holds = 0\nholdss = 1\n")
            gateway.signal(signal.SIGHUP)
            line = await gateway.until_told("not reloaded (SIGHUP), all stays as it was")
            assert "limits.holds: 0 is not" in line
            assert "limits.holdss: unknown" in line
            assert (await once(gateway.url, long))[0].startswith(b"HTTP/1.1 414 ")
            file.write_text(right.replace("1024", "2048").replace("port = 0", "port = 1", 1))
            gateway.signal(signal.SIGHUP)
            line = await gateway.until_told("reloaded (SIGHUP)")
            assert line.endswith(
                "changed: limits.target_bytes; stays until a restart: listen.port\n"
            )
            assert (await once(gateway.url, long))[0].startswith(b"HTTP/1.1 200 ")
            _, page = await once(gateway.admin_url, SCRAPE)
            assert b'gateway_reloads_total{verdict="refused"} 1.0' in page
            assert b'gateway_reloads_total{verdict="taken"} 1.0' in page


async def test_certificate_that_is_renewed_file_by_file_is_taken_up_once_both_are(
    tmp_path: Path,
) -> None:
    files = self_signed(tmp_path)
    renewed = self_signed(tmp_path, "renewed")
    given = {"listen__host": "127.0.0.1", "listen__port": "0", "admin__port": "0"}
    async with (
        upstream_answering(OK) as script,
        process(upstream__url=script.url, **given, **files.variables) as gateway,
    ):
        await gateway.until_listening()
        before = files.trusting()
        files.cert.write_bytes(renewed.cert.read_bytes())
        gateway.signal(signal.SIGHUP)
        await asyncio.sleep(0.05)
        assert (await once(gateway.url, GET, before))[1] == b"ok"
        files.key.write_bytes(renewed.key.read_bytes())
        line = await gateway.until_told("reloaded (")
        assert line.endswith("read again: listen.tls_cert_file, listen.tls_key_file\n")
        assert (await once(gateway.url, GET, renewed.trusting()))[1] == b"ok"
