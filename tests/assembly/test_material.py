from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.admission.identity.key_files import UnusableKey
from gateway.assembly.material import Material
from gateway.config import Config, IdentityConfig, SyncConfig
from gateway.sync.kept.seal import new_key

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_read_where_no_key_is_used(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    opaque = IdentityConfig(secret_file=missing)
    fetched = IdentityConfig(mode="verify", jwks_url="http://keys/")
    for identity in (opaque, fetched):
        config = Config(identity=identity, sync=SyncConfig(seal_key_file=missing))
        assert Material.read(config) == Material()


def test_keys_are_read_as_they_stand_in_their_files(tmp_path: Path) -> None:
    secret, seal = tmp_path / "secret", tmp_path / "seal"
    config = Config(
        identity=IdentityConfig(mode="verify", secret_file=str(secret)),
        sync=SyncConfig(result_store="redis", seal_key_file=str(seal)),
    )
    for text in ("one" * 20, "two" * 20):
        secret.write_text(text)
        seal.write_text(key := new_key())
        material = Material.read(config)
        assert material.key is not None
        assert material.key.material == text.encode()
        assert material.seal_keys == [bytes.fromhex(key)]
    seal.write_text("no key")
    with pytest.raises(UnusableKey, match=r"^sync\.seal_key_file: "):
        Material.read(config)
    secret.unlink()
    with pytest.raises(UnusableKey, match=r"^identity\.secret_file: No such file"):
        Material.read(config)
