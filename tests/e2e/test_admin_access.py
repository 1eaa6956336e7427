"""Who may ask the admin listener for what, with real sockets, curl and a certificate."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import self_signed
from tests.support.harness import curl, gateway_before, process_before
from tests.support.operators import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

UPSTREAM = "http://127.0.0.1:9"


def own_address() -> str:
    """An address of this machine that is not a loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            # Sends nothing: it only finds a way there.
            sock.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        address: str = sock.getsockname()[0]
        return address


async def test_other_machine_gets_nothing_of_operators_without_a_token() -> None:
    async with gateway_before(UPSTREAM, admin={"host": "0.0.0.0", "port": 0}) as gateway:
        port = gateway.admin_url.rpartition(":")[2]
        elsewhere, here = f"http://{own_address()}:{port}", f"http://127.0.0.1:{port}"
        (refused,) = await curl(f"{elsewhere}/")
        assert refused.status == 403
        assert b"admin.token_file" in refused.content
        # Nor by a name of this machine.
        (refused,) = await curl("--header", "Host: localhost", f"{elsewhere}/")
        assert refused.status == 403
        (refused,) = await curl("--header", "Host: rebound.example", f"{here}/")
        assert refused.status == 403
        for url in (f"{elsewhere}/live", f"{elsewhere}/metrics", f"{here}/"):
            (answered,) = await curl(url)
            assert answered.status == 200


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_operators_see_settings_and_tasks_and_end_the_gateway(
    tmp_path: Path, workers: str
) -> None:
    url, settings = tmp_path / "redis-url", tmp_path / "gateway.toml"
    url.write_text("redis://:hunter2@127.0.0.1:9/0\n")
    settings.write_text("[upstream]\nmax_connections = 9\n")
    arguments = ("--workers", workers, "--config", str(settings))
    async with process_before(UPSTREAM, *arguments, redis__url_file=str(url)) as gateway:
        (told,) = await curl(f"{gateway.admin_url}/config")
        assert b"hunter2" not in told.content
        config = json.loads(told.content)
        assert config["file"] == str(settings)
        for key, value, origin in (
            ("upstream.max_connections", 9, f"{settings}: upstream.max_connections"),
            ("upstream.url", UPSTREAM, "GATEWAY_UPSTREAM__URL"),
            ("listen.workers", int(workers), "--workers"),
            ("sync.profile", "4.6", "default"),
        ):
            assert config["settings"][key] == {"value": value, "origin": origin}
        (told,) = await curl(f"{gateway.admin_url}/tasks")
        processes = json.loads(told.content)["processes"]
        single, several = ["gateway"], ["supervisor", "worker 1", "worker 2"]
        assert list(processes) == (single if workers == "1" else several)
        for process in processes.values():
            assert process["count"] == sum(place["number"] for place in process["tasks"])
        (refused,) = await curl(
            "--header",
            "Origin: http://evil.example",
            "--request",
            "POST",
            f"{gateway.admin_url}/drain",
        )
        assert refused.status == 403
        (accepted,) = await curl("--request", "POST", f"{gateway.admin_url}/drain")
        assert accepted.status == 202
        assert await gateway.ended() == 0
    assert "draining for at most" in gateway.told
    assert "stopped" in gateway.told
    assert "hunter2" not in gateway.told


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_operators_show_their_token_over_tls_and_sighup_takes_up_another(
    tmp_path: Path, workers: str
) -> None:
    files, token = self_signed(tmp_path), tmp_path / "token"
    token.write_text(TOKEN)
    variables = {
        "admin__tls_cert_file": str(files.cert),
        "admin__tls_key_file": str(files.key),
        "admin__token_file": str(token),
    }
    async with process_before(UPSTREAM, "--workers", workers, **variables) as gateway:
        assert gateway.admin_url.startswith("https://")

        async def status(*options: str) -> int:
            arguments = ("--cacert", str(files.cert), *options, f"{gateway.admin_url}/")
            (answered,) = await curl(*arguments)
            return answered.status

        assert await status() == 401
        assert await status("--oauth2-bearer", TOKEN) == 200
        token.write_text(TOKEN[::-1])
        files.replace(self_signed(tmp_path, "renewed"))
        gateway.signal(signal.SIGHUP)
        await gateway.until_told("read again: admin.token_file, admin.tls_cert_file")
        assert await status("--oauth2-bearer", TOKEN) == 401
        assert await status("--oauth2-bearer", TOKEN[::-1]) == 200
