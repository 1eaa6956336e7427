from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NoReturn

import pytest

from gateway.admission.identity.key_files import UnusableKey
from gateway.config.effective import SettingsError
from gateway.downstream.listening.tls import UnusableCertificate
from gateway.server.reload.prepared import Prepared, renew
from gateway.sync.kept.seal import new_key
from tests.support.certificates import self_signed
from tests.support.settings import chosen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gateway.ops.operators.admin import Renewal


def test_certificate_and_key_that_do_not_fit_may_do_so_in_a_moment(tmp_path: Path) -> None:
    files, other = self_signed(tmp_path), self_signed(tmp_path, "other")
    mixed = {"listen.tls_cert_file": str(files.cert), "listen.tls_key_file": str(other.key)}
    with pytest.raises(SettingsError, match="is not the key of") as refused:
        Prepared.read(chosen(mixed))
    assert refused.value.may_pass
    fitting = {**mixed, "listen.tls_key_file": str(files.key)}
    assert Prepared.read(chosen(fitting)).certificate is not None


def test_missing_key_is_refused_at_once(tmp_path: Path) -> None:
    missing = {"identity.mode": "verify", "identity.secret_file": str(tmp_path / "missing")}
    with pytest.raises(SettingsError, match=r"^identity\.secret_file: No such file") as refused:
        Prepared.read(chosen(missing))
    assert not refused.value.may_pass


def test_files_of_operators_are_refused_by_the_setting_that_names_them() -> None:
    def unusable_key() -> NoReturn:
        raise UnusableKey("there is no token in it")

    def unusable_certificate() -> NoReturn:
        raise UnusableCertificate("mixed")

    taken: list[str] = []
    token: Mapping[str, Renewal] = {"admin.token_file": lambda: partial(taken.append, "token")}
    renew(token)
    assert taken == ["token"]
    with pytest.raises(SettingsError, match=r"^admin\.token_file: there is no") as refused:
        renew({"admin.token_file": unusable_key})
    assert not refused.value.may_pass
    with pytest.raises(SettingsError, match=r"^admin\.tls_cert_file: mixed") as refused:
        renew({**token, "admin.tls_cert_file": unusable_certificate})
    assert refused.value.may_pass
    assert taken == ["token"]


def test_nothing_is_read_without_files() -> None:
    prepared = Prepared.read(chosen({}))
    assert prepared.certificate is None
    assert prepared.key is None


def test_nothing_is_read_where_no_key_is_used(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    opaque = {"identity.secret_file": missing, "sync.seal_key_file": missing}
    fetched = {"identity.mode": "verify", "identity.jwks_url": "http://keys/"}
    for values in (opaque, fetched):
        prepared = Prepared.read(chosen(values))
        assert (prepared.key, prepared.seal_keys) == (None, ())


def test_keys_are_read_as_they_stand_in_their_files(tmp_path: Path) -> None:
    secret, seal = tmp_path / "secret", tmp_path / "seal"
    config = chosen(
        {
            "identity.mode": "verify",
            "identity.secret_file": str(secret),
            "sync.result_store": "redis",
            "sync.seal_key_file": str(seal),
        }
    )
    for text in ("one" * 20, "two" * 20):
        secret.write_text(text)
        seal.write_text(key := new_key())
        prepared = Prepared.read(config)
        assert prepared.key is not None
        assert prepared.key.material == text.encode()
        assert prepared.seal_keys == [bytes.fromhex(key)]
    seal.write_text("no key")
    with pytest.raises(SettingsError, match=r"^sync\.seal_key_file: "):
        Prepared.read(config)
