from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.admission.identity.claims import Signature
from gateway.admission.identity.key_files import UnusableKey
from gateway.admission.identity.key_set import KeySet
from gateway.admission.identity.keys import OneKey, keys_of, read_key
from gateway.config import IdentityConfig
from tests.support.tokens import RSA

if TYPE_CHECKING:
    from pathlib import Path

PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


async def test_settings_say_what_verifies_tokens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "key.pem").write_bytes(PEM)
    (tmp_path / "secret").write_bytes(b"s3cret\n")

    def chosen(mode: str = "verify", **config: str) -> object:
        return keys_of(IdentityConfig(mode=mode, **config), lambda: 0.0, 10.0)  # type: ignore[arg-type]

    assert chosen("opaque") is None
    assert caplog.text == ""
    assert chosen("opaque", secret="s3cret") is None
    assert caplog.text.count("no token is verified") == 1
    assert isinstance(chosen(jwks_url="http://127.0.0.1:9"), KeySet)
    for config, algorithm, material in (
        ({"secret": "s3cret"}, "HS256", b"s3cret"),
        ({"secret_file": str(tmp_path / "secret")}, "HS256", b"s3cret"),
        ({"public_key_file": str(tmp_path / "key.pem")}, "RS256", RSA.public_key()),
    ):
        keys = chosen(**config)
        assert isinstance(keys, OneKey)
        [key] = await keys.named(Signature("any", "any"))
        assert (key.algorithm, key.material) == (algorithm, material)
        await keys.keep_fresh()
    assert caplog.text.count("the secret of identity has less than 32 bytes") == 2
    assert "s3cret" not in caplog.text
    with pytest.raises(UnusableKey, match=r"^identity\.secret_file: No such file"):
        chosen(secret_file=str(tmp_path / "missing"))


def test_another_key_replaces_the_last_one_and_the_same_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("first" * 10)
    config = IdentityConfig(mode="verify", secret_file=str(file))
    keys = keys_of(config, lambda: 0.0, 10.0)
    assert isinstance(keys, OneKey)
    replaced: list[object] = []

    def replacing() -> None:
        replaced.append(held())

    def held() -> object:
        [key] = keys.at_hand(Signature(None, "HS256"))
        return key.material

    keys.when_replaced = replacing
    keys.hold(read_key(config), is_of_file=True)
    assert replaced == []
    file.write_text("second" * 10 + "\n")
    keys.hold(read_key(config), is_of_file=True)
    assert replaced == [held()] == [b"second" * 10]


def test_age_of_a_key_is_that_of_the_last_read_that_found_one(tmp_path: Path) -> None:
    file, clock = tmp_path / "secret", [0.0]
    file.write_text("first" * 10)
    config = IdentityConfig(mode="verify", secret_file=str(file))
    keys = keys_of(config, lambda: clock[0], 10.0)
    assert isinstance(keys, OneKey)
    clock[0] = 7.0
    assert keys.age_seconds() == {"file": 7.0}
    keys.hold(read_key(config), is_of_file=True)
    assert keys.age_seconds() == {"file": 0.0}
    keys.hold(read_key(config), is_of_file=False)
    assert keys.age_seconds() == {}


def test_key_of_the_settings_has_no_age() -> None:
    keys = keys_of(IdentityConfig(mode="verify", secret="s" * 32), lambda: 0.0, 10.0)
    assert keys is not None
    assert keys.age_seconds() == {}


@pytest.mark.parametrize("content", [b"", PEM, b"x" * 100_000])
def test_file_without_a_secret_gives_no_key(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(UnusableKey, match=r"^identity\.secret_file: "):
        read_key(IdentityConfig(mode="verify", secret_file=str(file)))
