"""TLS on the client port: the certificate, and how a renewed one is taken up."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

from cryptography.x509 import load_pem_x509_certificates

_log = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0
"""What a client gets to confirm the end of a connection in."""
_MISMATCHES = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
"""The last is OpenSSL's word for a key of another type."""
_PENDING = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class UnusableCertificate(Exception):
    """The files are no certificate with its key; the message says which file, and why."""


class Certificate:
    """A chain and its key (PEM), shown to each client that connects; ``context`` is for listeners.
    ``not_after`` is when the first of the chain ends, in seconds since 1970; None where that cannot
    be read. ``blank`` is a context that has no certificate yet, and is this one's from now on.

    Raises:
        UnusableCertificate
    """

    def __init__(self, cert_file: str, key_file: str, blank: ssl.SSLContext | None = None) -> None:
        self.context = _Renewable(ssl.PROTOCOL_TLS_SERVER)
        self.context.current = blank_context() if blank is None else blank
        _load(self.context.current, cert_file, key_file)
        self.not_after = end_of(cert_file)

    def become(self, other: Certificate) -> None:
        """Show another one, for connections to come."""
        self.context.current = other.context.current
        self.not_after = other.not_after


class _Renewable(ssl.SSLContext):
    """Makes connections of the context that is current when they come.

    A context that has a certificate keeps it beside the next one if that has another type of key,
    so each certificate needs one of its own; listeners keep the context they were given. Python's
    callback for server names could change it too, but writes a traceback for each name that is not
    ASCII.
    """

    current: ssl.SSLContext

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        return self.current.wrap_bio(*arguments, **options)


def blank_context() -> ssl.SSLContext:
    """TLS 1.2 and newer, ciphers with forward secrecy, HTTP/1.1; no certificate yet.

    It has keys of its own that clients' sessions are sealed with (tickets; RFC 8446, 4.6.1, and
    RFC 5077). Nobody can set them, but a process has them that was forked after it was made.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.sslobject_class = _Connection
    return context


def _load(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    try:
        context.load_cert_chain(cert_file, key_file, password=_refuse_to_ask)
    except (OSError, ValueError) as failure:
        raise UnusableCertificate(_reason(cert_file, key_file, failure)) from None


def end_of(cert_file: str) -> float | None:
    """When the first certificate of a chain ends, in seconds since 1970; None where that cannot be
    read."""
    try:
        chain = load_pem_x509_certificates(Path(cert_file).read_bytes())
    except (OSError, ValueError):
        # Renamed meanwhile, or written in a way that OpenSSL alone forgives.
        return None
    return min(each.not_valid_after_utc.timestamp() for each in chain)


def _refuse_to_ask() -> str:
    # Without this OpenSSL would ask on the terminal.
    raise UnusableCertificate("the key is encrypted; it must be readable without a passphrase")


def _reason(cert_file: str, key_file: str, failure: OSError | ValueError) -> str:
    for path in (cert_file, key_file):
        try:
            Path(path).open("rb").close()
        except (OSError, ValueError) as unreadable:
            return f'"{path}": {getattr(unreadable, "strerror", "is no path")}'
    reason = getattr(failure, "reason", None)
    if reason in _MISMATCHES:
        return f'"{key_file}" is not the key of "{cert_file}"'
    if reason is not None:
        return f'"{cert_file}": {reason.lower().replace("_", " ")}'
    try:
        ssl.create_default_context(cafile=cert_file)
    except ssl.SSLError:
        return f'"{cert_file}": no certificate in it'
    return f'"{key_file}": no key in it'


class _Connection(ssl.SSLObject):
    """Tells why a handshake failed, which event loops keep to themselves."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except _PENDING:
            raise
        except ssl.SSLError as failure:
            _log.debug("a client's TLS handshake failed: %s", failure.reason or failure)
            raise
