from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from gateway.cli.trying.finding import Grade
from gateway.cli.trying.keys import DAY_SECONDS, try_certificates, try_keys
from gateway.config import AdminConfig, Config, IdentityConfig, ListenConfig
from gateway.downstream.listening.tls import end_of
from tests.support.certificates import self_signed
from tests.support.issuer import issuing

if TYPE_CHECKING:
    from pathlib import Path

MODE: Literal["verify"] = "verify"


async def test_keys_are_not_tried_where_tokens_are_not_judged() -> None:
    assert await try_keys(IdentityConfig(), 5) == []


@pytest.mark.parametrize("name", ["secret", "secret_file", "public_key_file"])
async def test_keys_of_files_have_been_read_with_the_settings(name: str) -> None:
    given = {"secret": "x"} if name == "secret" else {}
    config = IdentityConfig(mode=MODE, **given, **({name: "a"} if not given else {}))  # type: ignore[arg-type]
    (found,) = await try_keys(config, 5)
    assert (found.what, found.verdict) == (f"identity.{name}", Grade.OK)


async def test_set_of_keys_is_fetched() -> None:
    async with issuing() as issuer:
        config = IdentityConfig(mode=MODE, jwks_url=issuer.url)
        (found,) = await try_keys(config, 5)
        assert (found.verdict, found.said) == (Grade.OK, "1 keys")
        issuer.status = 404
        (found,) = await try_keys(config, 5)
        assert (found.verdict, found.said) == (Grade.FAILED, "status 404")
        issuer.content = None
        (found,) = await try_keys(config, 0.03)
        assert (found.verdict, found.said) == (Grade.FAILED, "no answer in time")


async def test_address_without_a_server_is_told_of() -> None:
    config = IdentityConfig(mode=MODE, jwks_url="http://127.0.0.1:9/jwks.json?key=hunter2")
    (found,) = await try_keys(config, 5)
    assert (found.verdict, found.said) == (Grade.FAILED, "the connection is refused")


@pytest.mark.parametrize(
    ("days", "verdict"), [(20, Grade.OK), (13, Grade.NOTE), (-1, Grade.FAILED)]
)
def test_certificates_are_told_with_their_end(tmp_path: Path, days: int, verdict: Grade) -> None:
    path = str(self_signed(tmp_path).cert)
    end = end_of(path)
    assert end is not None
    config = Config(
        listen=ListenConfig(tls_cert_file=path), admin=AdminConfig(tls_cert_file="/missing")
    )
    (found,) = try_certificates(config, end - days * DAY_SECONDS)
    assert (found.what, found.verdict) == ("listen.tls_cert_file", verdict)
    assert list(try_certificates(Config(), 0)) == []
