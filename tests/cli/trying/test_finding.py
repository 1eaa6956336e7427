from __future__ import annotations

import socket
import ssl

import pytest

from gateway.cli.trying.finding import Finding, Grade, of_failure


def test_finding_is_a_line_with_what_to_do_below_it() -> None:
    assert str(Finding("a", Grade.OK, "answers")) == "ok     a: answers"
    told = str(Finding("a", Grade.FAILED, "is silent", "start it"))
    assert told == "FAILED a: is silent\n       start it"


def untrusted() -> ssl.SSLCertVerificationError:
    failure = ssl.SSLCertVerificationError(1, "failed")
    failure.verify_message = "self-signed certificate"
    return failure


@pytest.mark.parametrize(
    ("failure", "said", "hint"),
    [
        (TimeoutError(), "no answer in time", "firewall"),
        (untrusted(), "not trusted (self-signed certificate)", "upstream.ca_file"),
        (ssl.SSLError(1, "x"), "no TLS", "plain HTTP"),
        (socket.gaierror(-2, "x"), "its name is not known", "resolve"),
        (ConnectionRefusedError(111, "x"), "the connection is refused", "does it run"),
        (OSError(113, "No route to host"), "No route to host", "address"),
        (ValueError("secret"), "ValueError", ""),
    ],
)
def test_each_failure_has_a_reason_and_a_hint(failure: Exception, said: str, hint: str) -> None:
    found = of_failure("x", failure, ca_setting="upstream.ca_file")
    assert found.verdict is Grade.FAILED
    assert said in found.said
    assert hint in found.hint
    assert "secret" not in str(found)


def test_no_setting_is_named_where_there_is_none() -> None:
    assert of_failure("x", untrusted()).hint == ""
