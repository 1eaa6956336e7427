"""Settings with what their files have in them: read whole before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gateway.admission.identity.key_files import UnusableKey
from gateway.admission.identity.keys import read_key
from gateway.config.effective import SettingsError
from gateway.downstream.listening.tls import Certificate, UnusableCertificate
from gateway.sync.kept.seal import read_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.admission.identity.claims import Key
    from gateway.config import Config, ListenConfig
    from gateway.ops.operators.admin import Renewal

    Certified = Callable[[ListenConfig], Certificate | None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a process can go on with at once."""

    config: Config
    key: Key | None
    """What tokens are verified with; None where they are not, or a set of keys is fetched."""
    seal_keys: Sequence[bytes]
    """What results in Redis are sealed with; none where they are not kept there."""
    certificate: Certificate | None
    """Another one for the client port; None where it goes on with what it has, or without TLS."""

    @classmethod
    def read(cls, config: Config, certified: Certified | None = None) -> Self:
        """``certified`` reads the certificate, if another one is wanted.

        Raises:
            SettingsError: a file cannot be used; it may pass where it is one of a certificate.
        """
        identity, sync, listen = config.identity, config.sync, config.listen
        is_verifying = identity.mode == "verify" and not identity.jwks_url
        try:
            key = read_key(identity) if is_verifying else None
            seal_keys = _seal_keys(sync.seal_key_file) if sync.result_store == "redis" else ()
        except UnusableKey as failure:
            raise SettingsError([str(failure)]) from None
        certificate = None
        if listen.tls_cert_file:
            try:
                certificate = (certified or _certificate)(listen)
            except UnusableCertificate as failure:
                problem = f"listen.tls_cert_file, listen.tls_key_file: {failure}"
                raise SettingsError([problem], may_pass=True) from None
        return cls(config, key, seal_keys, certificate)


def _certificate(listen: ListenConfig) -> Certificate:
    return Certificate(listen.tls_cert_file, listen.tls_key_file)


def _seal_keys(path: str) -> Sequence[bytes]:
    try:
        return read_keys(path)
    except UnusableKey as failure:
        raise UnusableKey(f"sync.seal_key_file: {failure}") from None


def renew(renewals: Mapping[str, Renewal]) -> None:
    """Have files read again by those who use them, each by the setting that names it; then have
    what was read taken up.

    Raises:
        SettingsError: one cannot be used, and nothing is changed; it may pass where it is one of a
            certificate.
    """
    takes = []
    for setting, read in renewals.items():
        try:
            takes.append(read())
        except UnusableKey as failure:
            raise SettingsError([f"{setting}: {failure}"]) from None
        except UnusableCertificate as failure:
            raise SettingsError([f"{setting}: {failure}"], may_pass=True) from None
    for take in takes:
        take()
