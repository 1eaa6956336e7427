from __future__ import annotations

import pytest

from gateway.errors import (
    BadGateway,
    ClientGone,
    ContentCut,
    GatewayTimeout,
    Overloaded,
    RequestTimeout,
    TooManyRequests,
)
from gateway.upstream.failures import is_the_upstreams, told_at_once


@pytest.mark.parametrize(
    ("failure", "is_its"),
    [
        (BadGateway(), True),
        (GatewayTimeout(), True),
        (Overloaded(), False),
        (TooManyRequests(), False),
        (RequestTimeout(), False),
        (ContentCut(), False),
    ],
)
def test_only_what_the_upstream_did_speaks_of_its_health(failure: Exception, is_its: bool) -> None:
    assert is_the_upstreams(failure) is is_its


def test_answer_that_breaks_off_unseen_is_a_bad_gateway() -> None:
    assert isinstance(told_at_once(ContentCut()), BadGateway)
    for failure in (ClientGone(), GatewayTimeout()):
        assert told_at_once(failure) is failure
