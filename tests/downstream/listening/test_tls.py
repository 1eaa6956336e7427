"""The certificate that clients are shown, by handshakes in memory."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from gateway.downstream.listening.tls import Certificate, UnusableCertificate
from tests.support.certificates import Files, self_signed

if TYPE_CHECKING:
    from pathlib import Path


def shown(certificate: Certificate, client: ssl.SSLContext, name: str | None) -> ssl.SSLObject:
    """The client's side of a handshake that has succeeded.

    Raises:
        ssl.SSLError: either side refused.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    waiting = [client_side, server_side]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    assert not waiting
    return client_side


def subject(side: ssl.SSLObject) -> object:
    found = side.getpeercert()
    assert found is not None
    return found["subject"]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_client_is_shown_the_certificate_whether_it_names_a_server_or_not(
    tmp_path: Path, name: str
) -> None:
    files = self_signed(tmp_path)
    side = shown(Certificate(str(files.cert), str(files.key)), files.trusting(), name)
    assert side.version() == "TLSv1.3"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("rsa_bits", [2048, 0])
def test_renewed_certificate_is_shown_also_when_its_key_is_of_another_type(
    tmp_path: Path, name: str, rsa_bits: int
) -> None:
    files = self_signed(tmp_path, rsa_bits=rsa_bits)
    renewed = self_signed(tmp_path, "renewed", rsa_bits=2048 - rsa_bits)
    certificate = Certificate(str(files.cert), str(files.key))
    before = files.trusting()
    files.replace(renewed)
    certificate.become(Certificate(str(files.cert), str(files.key)))
    assert subject(shown(certificate, renewed.trusting(), name)) == ((("commonName", "renewed"),),)
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(certificate, before, name)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("version", "is_spoken"),
    [
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_old_versions_of_tls_are_not_spoken(
    tmp_path: Path, version: ssl.TLSVersion, is_spoken: bool
) -> None:
    files = self_signed(tmp_path)
    certificate = Certificate(str(files.cert), str(files.key))
    client = files.trusting()
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = ssl.TLSVersion.TLSv1
    client.maximum_version = version
    if is_spoken:
        assert shown(certificate, client, "localhost").version() == version.name.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError):
            shown(certificate, client, "localhost")


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"], ["h2"]])
def test_http_1_1_is_agreed_on_where_the_client_offers_it(
    tmp_path: Path, offered: list[str]
) -> None:
    files = self_signed(tmp_path)
    client = files.trusting()
    client.set_alpn_protocols(offered)
    side = shown(Certificate(str(files.cert), str(files.key)), client, "localhost")
    assert side.selected_alpn_protocol() == ("http/1.1" if "http/1.1" in offered else None)


def test_failed_handshake_is_told_to_those_who_debug(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = self_signed(tmp_path)
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = Certificate(str(files.cert), str(files.key)).context
    side = context.wrap_bio(received, sent, server_side=True)
    received.write(b"GET / HTTP/1.1\r\n\r\n")
    with (
        caplog.at_level(logging.DEBUG, "gateway.downstream.listening.tls"),
        pytest.raises(ssl.SSLError),
    ):
        side.do_handshake()
    assert caplog.messages == ["a client's TLS handshake failed: HTTP_REQUEST"]


def pairs(folder: Path) -> dict[str, tuple[Files, str]]:
    """Pairs that are none, and what is to be said of each."""
    rsa, other_rsa = (
        self_signed(folder, "a", rsa_bits=2048),
        self_signed(folder, "b", rsa_bits=2048),
    )
    curve = self_signed(folder, "c")
    encrypted = self_signed(folder, "d", passphrase=b"secret")
    weak = self_signed(folder, "e", rsa_bits=1024)
    garbage, missing = folder / "garbage.pem", folder / "missing.pem"
    garbage.write_bytes(b"\x00no PEM")
    half = folder / "half.pem"
    half.write_bytes(rsa.cert.read_bytes()[:300])
    return {
        "other key": (Files(rsa.cert, other_rsa.key), f'"{other_rsa.key}" is not the key of'),
        "other type": (Files(curve.cert, rsa.key), f'"{rsa.key}" is not the key of'),
        "no key": (Files(rsa.cert, garbage), f'"{garbage}": no key in it'),
        "no certificate": (Files(garbage, rsa.key), f'"{garbage}": no certificate in it'),
        "half a certificate": (Files(half, rsa.key), f'"{half}": no certificate in it'),
        "swapped": (Files(rsa.key, rsa.cert), f'"{rsa.key}": no certificate in it'),
        "missing": (Files(rsa.cert, missing), f'"{missing}": No such file or directory'),
        "folder": (Files(folder, rsa.key), f'"{folder}": Is a directory'),
        "weak": (weak, f'"{weak.cert}": ee key too small'),
        "encrypted": (encrypted, "the key is encrypted"),
    }


def test_files_that_are_no_pair_are_refused_with_the_reason(tmp_path: Path) -> None:
    for what, (files, reason) in pairs(tmp_path).items():
        with pytest.raises(UnusableCertificate) as refused:
            Certificate(str(files.cert), str(files.key))
        assert str(refused.value).startswith(reason), what


def test_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(UnusableCertificate, match="is no path"):
        Certificate("\0", "\0")


def test_end_of_the_certificate_is_that_of_the_first_of_its_chain_to_end(tmp_path: Path) -> None:
    files, below = self_signed(tmp_path), self_signed(tmp_path, "below", days=3)
    certificate = Certificate(str(files.cert), str(files.key))
    [own, next_one] = [
        x509.load_pem_x509_certificate(each.cert.read_bytes()).not_valid_after_utc.timestamp()
        for each in (files, below)
    ]
    assert certificate.not_after == own < next_one
    longer = self_signed(tmp_path, "longer", days=9)
    longer.cert.write_bytes(longer.cert.read_bytes() + below.cert.read_bytes())
    certificate.become(Certificate(str(longer.cert), str(longer.key)))
    assert certificate.not_after == next_one


def test_certificate_that_openssl_alone_can_read_is_shown_without_a_known_end(
    tmp_path: Path,
) -> None:
    files = self_signed(tmp_path)
    trailing = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    client = files.trusting()
    certificate = Certificate(str(files.cert), str(files.key))
    files.cert.write_bytes(files.cert.read_bytes() + trailing)
    with pytest.raises(UnusableCertificate):
        Certificate(str(files.cert), str(files.key))
    assert certificate.not_after is not None
    assert shown(certificate, client, "localhost").version() == "TLSv1.3"
