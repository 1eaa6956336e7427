"""What a try found, and what may be done about it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How a try went."""

    OK = "ok"
    NOTE = "note"
    """It works, but not as well as it could, or not for long."""
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` is the setting that was tried. Nothing in it is secret."""

    what: str
    verdict: Grade
    said: str
    hint: str = ""
    """What to do; empty where nothing has to be."""

    def __str__(self) -> str:
        line = f"{self.verdict:<6} {self.what}: {self.said}"
        return f"{line}\n       {self.hint}" if self.hint else line


def of_failure(what: str, failure: Exception, *, ca_setting: str = "") -> Finding:
    """Of a connection that could not be made, or that broke. ``ca_setting`` names the authorities
    that the other side is trusted by."""
    match failure:
        case TimeoutError():
            said, hint = "no answer in time", "is a firewall between, or is it overloaded?"
        case ssl.SSLCertVerificationError():
            said = f"its certificate is not trusted ({failure.verify_message})"
            hint = f"name the authority that signed it in {ca_setting}" if ca_setting else ""
        case ssl.SSLError():
            said, hint = "no TLS can be had", "does it speak plain HTTP?"
        case socket.gaierror():
            said, hint = "its name is not known", "is it right, and does this machine resolve it?"
        case ConnectionRefusedError():
            said, hint = "the connection is refused", "does it run, and is this its address?"
        case OSError(strerror=str() as reason):
            said, hint = reason, "is this its address?"
        case _:
            said, hint = type(failure).__name__, ""
    return Finding(what, Grade.FAILED, said, hint)
