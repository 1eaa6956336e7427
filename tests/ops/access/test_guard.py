from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.errors import TooManyRequests
from gateway.ops.access.guard import MOST_ADDRESSES, WRONG_TOKENS, Guard, Visit
from gateway.ops.access.refusals import OperatorsOnly, OperatorTokenNeeded
from gateway.ops.access.sessions import OperatorSessions
from gateway.ops.access.token import OperatorToken

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "0123456789abcdef0123456789abcdef"
ELSEWHERE = "192.0.2.7"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def visit(
    method: str = "GET",
    peer: str = "127.0.0.1",
    host: str = "localhost:6091",
    session: str = "",
    **fields: str,
) -> Visit:
    """A request with these fields, whose names have ``_`` for ``-``."""
    lines = CIMultiDict({"Host": host})
    lines.update({name.replace("_", "-"): value for name, value in fields.items()})
    return Visit(method, peer, lines, session)


def without_token(host: str = "127.0.0.1") -> Guard:
    clock = Clock()
    return Guard(None, OperatorSessions(clock), host, clock)


class Locked:
    """A guard that asks for the token."""

    def __init__(self, folder: Path) -> None:
        file = folder / "token"
        file.write_text(TOKEN)
        self.clock = Clock()
        self.sessions = OperatorSessions(self.clock)
        self.guard = Guard(OperatorToken(str(file)), self.sessions, "127.0.0.1", self.clock)

    def shows(self, token: str, peer: str = ELSEWHERE) -> None:
        self.guard.admit(visit(peer=peer, host="gw", Authorization=f"Bearer {token}"))


@pytest.fixture
def locked(tmp_path: Path) -> Locked:
    return Locked(tmp_path)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host", ["localhost", "localhost:6091", "127.0.0.1:6091", "[::1]:6091", "LocalHost:1", "[::1]"]
)
def test_this_machine_may_ask_without_a_token(peer: str, host: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        without_token().admit(visit(method, peer, host))


@pytest.mark.parametrize("peer", [ELSEWHERE, "10.0.0.1", "fe80::1", "::ffff:10.0.0.1", "", "x"])
def test_other_machines_may_not_ask_without_a_token(peer: str) -> None:
    with pytest.raises(OperatorsOnly, match=r"admin\.token_file"):
        without_token().admit(visit(peer=peer))


@pytest.mark.parametrize(
    "host",
    [
        *("rebound.example", "rebound.example:6091", "localhost.rebound.example", "10.0.0.1:6091"),
        *("127.0.0.1.rebound.example", "", ":6091", "[::2]:6091", "localhost:6091:x", "[::1"),
    ],
)
def test_name_that_leads_here_by_dns_rebinding_is_refused(host: str) -> None:
    for method in ("GET", "POST"):
        with pytest.raises(OperatorsOnly):
            without_token().admit(visit(method, host=host))


@given(st.from_regex(r"[a-z0-9.-]{1,30}(:[0-9]{1,5})?", fullmatch=True))
def test_no_name_but_a_local_one_passes_without_a_token(host: str) -> None:
    name = host.partition(":")[0]
    is_local = name in {"localhost", "localhost.", "ip6-localhost"} or name.startswith("127.")
    if not is_local:
        with pytest.raises(OperatorsOnly):
            without_token().admit(visit(host=host))


def test_request_without_a_host_or_with_two_is_refused_without_a_token() -> None:
    fields = CIMultiDict[str]()
    for _ in range(3):
        if len(fields) != 1:
            with pytest.raises(OperatorsOnly):
                without_token().admit(Visit("GET", "::1", fields))
        fields.add("Host", "localhost")


def test_name_the_listener_was_given_is_its_own() -> None:
    without_token("Ops.example").admit(visit(host="ops.example:6091"))
    for everywhere in ("0.0.0.0", "::", ""):
        with pytest.raises(OperatorsOnly):
            without_token(everywhere).admit(visit(host=f"[{everywhere}]:6091"))


@pytest.mark.parametrize(
    "name",
    [
        *("X_Forwarded_For", "x_forwarded_host", "X_Forwarded_Proto"),
        "Forwarded",
        "X_Real_IP",
        "Via",
    ],
)
def test_proxy_on_this_machine_does_not_make_its_clients_local(name: str) -> None:
    with pytest.raises(OperatorsOnly):
        without_token().admit(visit(**{name: "127.0.0.1"}))


@pytest.mark.parametrize(
    "fields",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
        {"Sec_Fetch_Site": "nonsense"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "null"},
        {"Origin": ""},
    ],
)
def test_page_of_another_site_can_have_nothing_done(fields: dict[str, str], locked: Locked) -> None:
    session = locked.sessions.begin()
    for guard in (without_token(), locked.guard):
        with pytest.raises(OperatorsOnly):
            guard.admit(visit("POST", session=session, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"Sec_Fetch_Site": "same-origin", "Origin": "http://localhost:6091"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "http://localhost:6091"},
        {},
    ],
)
def test_own_page_may_have_things_done(fields: dict[str, str], locked: Locked) -> None:
    session = locked.sessions.begin()
    for guard in (without_token(), locked.guard):
        guard.admit(visit("POST", session=session, **fields))


def test_page_of_another_site_may_only_link_here() -> None:
    guard = without_token()
    guard.admit(visit(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate"))
    for mode in ("no-cors", "cors"):
        with pytest.raises(OperatorsOnly):
            guard.admit(visit(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode=mode))
    with pytest.raises(OperatorsOnly):
        guard.admit(visit(Origin="https://evil.example"))


def test_who_shows_the_token_may_ask_from_everywhere(locked: Locked) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        fields = {"Authorization": f"{scheme} {TOKEN}", "X_Forwarded_For": "10.0.0.1"}
        locked.guard.admit(visit("POST", ELSEWHERE, "gateway.example", **fields))


@pytest.mark.parametrize(
    "shown", ["", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer ", f"Bearer{TOKEN}"]
)
def test_rfc_6750_3_request_without_a_token_is_challenged(locked: Locked, shown: str) -> None:
    """This machine's too, once there is a token."""
    fields = {"Authorization": shown} if shown else {}
    with pytest.raises(OperatorTokenNeeded) as caught:
        locked.guard.admit(visit(**fields))
    assert caught.value.fields == (
        (b"WWW-Authenticate", b'Bearer realm="theeye-sync-gateway operators"'),
    )


@pytest.mark.parametrize("token", [TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "x", "\udcff", "ñ"])
def test_rfc_6750_3_1_wrong_token_is_called_invalid(locked: Locked, token: str) -> None:
    with pytest.raises(OperatorTokenNeeded) as caught:
        locked.shows(token)
    assert caught.value.fields[0][1].endswith(b', error="invalid_token"')


def test_two_tokens_are_none(locked: Locked) -> None:
    fields = CIMultiDict({"Host": "gw"})
    for _ in range(2):
        fields.add("Authorization", f"Bearer {TOKEN}")
    with pytest.raises(OperatorTokenNeeded):
        locked.guard.admit(Visit("GET", ELSEWHERE, fields))


def test_session_stands_for_the_token(locked: Locked) -> None:
    session = locked.sessions.begin()
    locked.guard.admit(visit(peer=ELSEWHERE, host="gw", session=session))
    with pytest.raises(OperatorTokenNeeded):
        locked.guard.admit(visit(peer=ELSEWHERE, host="gw", session=session + "x"))


def test_tokens_cannot_be_tried_out(locked: Locked) -> None:
    for number in range(WRONG_TOKENS.burst):
        with pytest.raises(OperatorTokenNeeded):
            locked.shows(f"guess-{number}")
    for token in ("guess", TOKEN):
        with pytest.raises(TooManyRequests) as caught:
            locked.shows(token)
        assert caught.value.fields == ((b"Retry-After", b"5"),)
    # Others are not concerned, nor who has a session, nor who shows nothing.
    locked.shows(TOKEN, "192.0.2.8")
    locked.guard.admit(visit(peer=ELSEWHERE, session=locked.sessions.begin()))
    with pytest.raises(OperatorTokenNeeded):
        locked.guard.admit(visit(peer=ELSEWHERE))
    locked.clock.now += 5
    locked.shows(TOKEN)
    with pytest.raises(OperatorTokenNeeded):
        locked.shows("guess")
    with pytest.raises(TooManyRequests):
        locked.shows("guess")


def test_addresses_of_ipv6_that_are_one_customers_are_counted_together(locked: Locked) -> None:
    for number in range(WRONG_TOKENS.burst):
        with pytest.raises(OperatorTokenNeeded):
            locked.shows("guess", f"2001:db8::{number:x}")
    with pytest.raises(TooManyRequests):
        locked.shows("guess", "2001:db8::ffff")
    locked.shows(TOKEN, "2001:db8:0:1::1")


def test_addresses_with_wrong_tokens_are_bounded(locked: Locked) -> None:
    for number in range(MOST_ADDRESSES + 10):
        with pytest.raises(OperatorTokenNeeded):
            locked.shows("guess", f"10.0.{number >> 8}.{number & 255}")
    assert len(locked.guard._wrong) == MOST_ADDRESSES
