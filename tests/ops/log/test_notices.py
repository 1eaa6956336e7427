from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.addresses import address_key
from gateway.admission.identity.identities import Identity
from gateway.ops.log.notices import LINES, PERIOD_SECONDS, LimitNotices
from tests.support.records import exchange

if TYPE_CHECKING:
    from gateway.downstream.exchange import Exchange

TOKEN = Identity(b"k" * 16, "acme", "ada", "user", bytes.fromhex("3f" * 16), is_verified=False)
MADE_UP = Identity(b"m" * 16, "acme", "ada", "user", b"m" * 16, is_verified=False)


def accountable(identity: Identity, address: str) -> Identity:
    if identity is TOKEN:
        return identity
    return Identity(address_key(address), "", "", "", None, is_verified=False)


def reached(limit: str = "create", identity: Identity = TOKEN, **known: Any) -> Exchange:
    return exchange(**{"limit": limit, "identity": identity, "status": 429, **known})


def told(caplog: pytest.LogCaptureFixture, *observed: Exchange) -> list[str]:
    notices = LimitNotices(accountable)
    for each in observed:
        notices.observe(each)
    messages = caplog.messages
    caplog.clear()
    return messages


def test_limit_is_told_once_a_minute_of_each_client(caplog: pytest.LogCaptureFixture) -> None:
    by_token = f'limit "create" is reached by token {"3f" * 16} at 192.0.2.7, answered 429'
    assert told(caplog, *[reached()] * 100) == [by_token]
    later = reached(finished=100.25 + PERIOD_SECONDS)
    assert told(caplog, reached(), reached(), later, later) == [by_token] * 2
    assert told(caplog, reached(), reached("holds")) == [
        by_token,
        by_token.replace("create", "holds"),
    ]


def test_request_within_its_limits_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, reached("")) == []


def test_made_up_tokens_are_told_as_their_address(caplog: pytest.LogCaptureFixture) -> None:
    others = [Identity(bytes([n] * 16), "", "", "", bytes([n] * 16), False) for n in range(100)]
    flood = [reached("unknown_token", identity, address="2001:db8::5") for identity in others]
    assert told(caplog, *flood) == [
        'limit "unknown_token" is reached by address 2001:db8::/64, answered 429'
    ]


def test_lines_of_a_minute_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    crowd = [reached("other", MADE_UP, address=f"192.0.2.{n}") for n in range(200)]
    lines = told(caplog, *crowd)
    assert len(lines) == LINES + 1
    assert lines[-1] == "more limits are reached: the access log and the metrics tell which"


def test_request_that_is_only_reported_is_told_with_its_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert told(caplog, reached(status=200))[0].endswith(", answered 200")
    assert told(caplog, reached(status=0))[0].endswith(", answered nothing")


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@given(address=st.one_of(st.text(), st.from_regex(r"fe80::1%\w*\s\w*", fullmatch=True)))
def test_line_is_one_line_whatever_a_proxy_told(address: str) -> None:
    log, lines = logging.getLogger("gateway.ops.log.notices"), Lines()
    log.addHandler(lines)
    try:
        LimitNotices(accountable).observe(reached("other", MADE_UP, address=address))
    finally:
        log.removeHandler(lines)
    [line] = lines.told
    assert line.isascii()
    assert line.isprintable()
