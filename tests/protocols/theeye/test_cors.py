import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Field
from gateway.protocols.http.fields import list_members, values
from gateway.protocols.theeye.cors import (
    EXPOSED,
    UNDERSTOOD,
    carried_fields,
    cross_origin_fields,
    exposing,
    is_preflight,
    understanding,
)

CORS = Path(__file__).parents[2] / "recordings" / "async-only" / "cors.json"


@pytest.mark.parametrize("recorded", json.loads(CORS.read_text())["exchanges"])
def test_default_fields_are_those_theeye_sends(recorded: dict[str, Any]) -> None:
    origin = dict(recorded["request"]["headers"]).get("Origin")
    expected = [
        (name.encode(), value.encode())
        for name, value in recorded["response"]["headers"]
        if name.startswith("Access-Control-")
    ]
    assert list(cross_origin_fields(origin.encode() if origin else None)) == expected


def test_upstreams_own_fields_are_copied_when_it_sent_some() -> None:
    sent = [(b"Server", b"x"), (b"access-control-allow-origin", b"https://a.test")]
    assert cross_origin_fields(b"https://b.test", sent) == (sent[1],)


def test_name_of_the_upstream_is_carried_and_nothing_else_of_its_fields() -> None:
    sent = [(b"Date", b"x"), (b"Vary", b"y"), (b"server", b"restify")]
    assert carried_fields(None, sent) == (sent[2], *cross_origin_fields(None))
    assert carried_fields(None, []) == cross_origin_fields(None)


ASKING = [b"host", b"origin", b"access-control-request-method"]


def test_preflight_is_what_a_browser_sends_before_another_request() -> None:
    assert is_preflight("OPTIONS", ASKING, has_content=False)
    assert not is_preflight("OPTIONS", ASKING, has_content=True)
    assert not is_preflight("GET", ASKING, has_content=False)
    for missing in ASKING[1:]:
        rest = [name for name in ASKING if name != missing]
        assert not is_preflight("OPTIONS", rest, has_content=False)


ANY_ORIGIN = (b"Access-Control-Allow-Origin", b"*")
NAMES = st.lists(st.sampled_from([*EXPOSED, *UNDERSTOOD, b"x-own", b"*", b"ORIGIN", b""]))
LINES = st.tuples(
    st.sampled_from([b"access-control-allow-headers", b"Access-Control-Expose-Headers", b"Vary"]),
    NAMES.map(b" ,".join),
)


def listed(fields: tuple[Field, ...], name: bytes) -> list[bytes]:
    return [member.lower() for member in list_members(values(fields, name))]


@given(st.lists(LINES))
def test_lists_are_completed_without_a_name_twice_and_nothing_of_the_upstreams_is_lost(
    lines: list[Field],
) -> None:
    sent = (ANY_ORIGIN, *lines)
    for complete, name, members in [
        (exposing, b"access-control-expose-headers", EXPOSED),
        (understanding, b"access-control-allow-headers", UNDERSTOOD),
    ]:
        made = complete(sent)
        before, after = listed(sent, name), listed(made, name)
        added = [member.lower() for member in members if member.lower() not in before]
        assert sorted(after) == sorted(before + added)
        assert [line for line in made if line[0].lower() == b"vary"] == [
            line for line in sent if line[0].lower() == b"vary"
        ]
        assert complete(made) == made


def test_upstreams_spelling_of_a_list_stays() -> None:
    sent = ((b"access-control-expose-headers", b"X-A,  retry-after,"),)
    ((name, value),) = exposing(sent)
    assert name == b"access-control-expose-headers"
    assert value.startswith(b"X-A,  retry-after, Location, ")
    assert exposing(()) == ((b"Access-Control-Expose-Headers", b", ".join(EXPOSED)),)


def test_preflight_that_the_upstream_does_not_grant_stays_as_it_is() -> None:
    sent = ((b"Access-Control-Allow-Headers", b"Accept"), (b"Server", b"x"))
    assert understanding(sent) == sent


@pytest.mark.parametrize(
    ("sent", "method", "listed_after"),
    [
        ((), b"DELETE", [b"delete"]),
        (((b"access-control-allow-methods", b"GET,DELETE"),), b"DELETE", [b"get", b"delete"]),
        (((b"access-control-allow-methods", b"GET"),), b"DELETE", [b"get", b"delete"]),
        ((), b"POST", []),
        ((), b"", []),
    ],
)
def test_method_that_needs_it_is_named(
    sent: tuple[Field, ...], method: bytes, listed_after: list[bytes]
) -> None:
    """Fetch, 4.8: GET, HEAD and POST need no naming."""
    made = understanding((ANY_ORIGIN, *sent), method)
    assert listed(made, b"access-control-allow-methods") == listed_after


def test_upstreams_own_time_to_remember_a_preflight_counts() -> None:
    aged = (b"access-control-max-age", b"5")
    assert understanding((ANY_ORIGIN, aged))[1] == aged
    assert values(understanding((ANY_ORIGIN, aged)), b"access-control-max-age") == [b"5"]
    assert values(understanding((ANY_ORIGIN,)), b"access-control-max-age") == [b"600"]
