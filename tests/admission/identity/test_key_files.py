from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.admission.identity.key_files import (
    MAX_FILE_BYTES,
    UnusableKey,
    checked_secret,
    public_key,
    shared_secret,
)
from tests.support.tokens import RSA, WEAK

PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
SSH = RSA.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
PRIVATE = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
WEAK_PEM = WEAK.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ELLIPTIC = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
)


def written(folder: Path, content: bytes) -> str:
    path = folder / "key"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"s3cret\r\n"])
def test_secret_is_what_the_file_has_without_its_line_break(tmp_path: Path, content: bytes) -> None:
    assert shared_secret(written(tmp_path, content)) == b"s3cret"


def test_public_key_is_read_from_pem(tmp_path: Path) -> None:
    assert public_key(written(tmp_path, PEM)) == RSA.public_key()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no secret in it"),
        (b"\n", "no secret in it"),
        (PEM, "a public key or a certificate, no secret"),
        (SSH, "a public key or a certificate, no secret"),
        (b"x" * (MAX_FILE_BYTES + 1), f"more than {MAX_FILE_BYTES} bytes"),
    ],
)
def test_what_is_no_secret_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UnusableKey, match=reason):
        shared_secret(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no public key in PEM"),
        (b"s3cret", "no public key in PEM"),
        (PEM[:100], "no public key in PEM"),
        (PRIVATE, "no public key in PEM"),
        (ELLIPTIC, "not for RSA"),
        (WEAK_PEM, "less than 2048 bits"),
    ],
    # Keys are made anew by each process: in names they would set the tests of two apart.
    ids=["empty", "secret", "half", "private", "elliptic", "weak"],
)
def test_what_is_no_rsa_public_key_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UnusableKey, match=reason) as caught:
        public_key(written(tmp_path, content))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("read", [shared_secret, public_key])
def test_file_that_cannot_be_read_is_refused_with_the_systems_reason(
    tmp_path: Path, read: object
) -> None:
    assert callable(read)
    for path, reason in (
        (str(tmp_path / "missing"), "No such file"),
        (str(tmp_path), "Is a directory"),
        ("a\x00b", "not the name of a file"),
    ):
        with pytest.raises(UnusableKey, match=reason):
            read(path)


def test_public_key_is_no_secret_wherever_it_comes_from() -> None:
    assert checked_secret(b"s3cret") == b"s3cret"
    with pytest.raises(UnusableKey):
        checked_secret(PEM)
