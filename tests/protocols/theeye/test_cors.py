import json
from pathlib import Path
from typing import Any

import pytest

from gateway.protocols.theeye.cors import carried_fields, cross_origin_fields, is_preflight

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
