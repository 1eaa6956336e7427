"""Files that settings name: certificates, authorities and tokens that cannot be used."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from gateway.admission.identity.key_files import UnusableKey
from gateway.cli.checking.contradiction import Contradiction
from gateway.downstream.listening.tls import Certificate, UnusableCertificate
from gateway.ops.access.token import operator_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config import Config


def unusable_files(config: Config) -> Iterator[Contradiction]:
    """All that are named for TLS, and for the operators' token."""
    yield from _authorities(config.upstream.ca_file)
    for section, of_section in (("listen", config.listen), ("admin", config.admin)):
        yield from _certificate(section, of_section.tls_cert_file, of_section.tls_key_file)
    yield from _operators_token(config.admin.token_file)


def _authorities(path: str) -> Iterator[Contradiction]:
    if path:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as failure:
            reason = failure.strerror or "no certificate in it"
            yield Contradiction(("upstream.ca_file",), f'upstream.ca_file "{path}": {reason}')


def _certificate(section: str, cert_file: str, key_file: str) -> Iterator[Contradiction]:
    keys = (f"{section}.tls_cert_file", f"{section}.tls_key_file")
    if bool(cert_file) is not bool(key_file):
        yield Contradiction(keys, f"{' and '.join(keys)} go together, one of them is missing")
    elif cert_file:
        try:
            Certificate(cert_file, key_file)
        except UnusableCertificate as failure:
            yield Contradiction(keys, f"{', '.join(keys)}: {failure}")


def _operators_token(path: str) -> Iterator[Contradiction]:
    if path:
        try:
            operator_token(path)
        except UnusableKey as failure:
            yield Contradiction(("admin.token_file",), f'admin.token_file "{path}": {failure}')
