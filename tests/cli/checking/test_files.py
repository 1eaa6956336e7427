from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway.cli.checking.files import unusable_files
from gateway.config import AdminConfig, Config, ListenConfig, UpstreamConfig
from tests.support.certificates import self_signed

if TYPE_CHECKING:
    from pathlib import Path


def test_files_that_can_be_used_are_no_problem(tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    token = tmp_path / "token"
    token.write_text("x" * 32)
    pair = {"tls_cert_file": str(files.cert), "tls_key_file": str(files.key)}
    config = Config(
        listen=msgspec.convert(pair, ListenConfig),
        admin=msgspec.convert({**pair, "token_file": str(token)}, AdminConfig),
        upstream=UpstreamConfig(ca_file=str(files.cert)),
    )
    assert list(unusable_files(config)) == []
    assert list(unusable_files(Config())) == []


@pytest.mark.parametrize("section", ["listen", "admin"])
def test_certificate_and_key_go_together(tmp_path: Path, section: str) -> None:
    files = self_signed(tmp_path)
    for given, message in (
        ({"tls_cert_file": str(files.cert)}, "go together, one of them is missing"),
        ({"tls_key_file": str(files.key)}, "go together, one of them is missing"),
        ({"tls_cert_file": "/missing", "tls_key_file": "/missing"}, "No such file"),
    ):
        config = msgspec.convert({section: given}, Config)
        (problem,) = unusable_files(config)
        assert problem.keys == (f"{section}.tls_cert_file", f"{section}.tls_key_file")
        assert message in problem.message


def test_operators_token_that_is_missing_or_short_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "token"
    config = Config(admin=AdminConfig(token_file=str(file)))
    (problem,) = unusable_files(config)
    assert problem.message == f'admin.token_file "{file}": No such file or directory'
    file.write_text("hunter2")
    (problem,) = unusable_files(config)
    assert problem.keys == ("admin.token_file",)
    assert "22 characters" in problem.message
    assert "hunter2" not in problem.message
