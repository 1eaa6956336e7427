from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import LogConfig
from gateway.downstream.exchange import Exchange, Kind, Outcome
from gateway.ops.log.sample import RelaySample, leaving_out
from gateway.protocols.theeye.routes import PREFLIGHT
from tests.support.records import exchange

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def passed(**known: Any) -> Exchange:
    observed = exchange(**{"kind": Kind.RELAY, "status": 200, **known})
    observed.target = observed.client.target
    return observed


def left_out(observed: Exchange, share: float = 0.0, *, trusted: bool = False) -> bool:
    return RelaySample(share, lambda _: trusted).leaves_out(observed)


@pytest.mark.parametrize(
    "known",
    [{}, {"kind": Kind.WEBSOCKET, "status": 101}, {"status": 304}, {"route": PREFLIGHT}],
)
def test_success_that_was_passed_through_may_be_left_out(known: dict[str, Any]) -> None:
    assert left_out(passed(**known))
    assert not left_out(passed(**known), 1.0)


@pytest.mark.parametrize(
    "known",
    [
        {"status": 400},
        {"status": 502},
        {"status": 0},
        {"outcome": Outcome.CUT},
        {"outcome": Outcome.CLIENT_CLOSED},
        {"reason": "ContentCut"},
        {"limit": "other"},
        *({"kind": kind} for kind in Kind if kind not in {Kind.RELAY, Kind.WEBSOCKET}),
    ],
)
def test_all_else_is_never_left_out(known: dict[str, Any]) -> None:
    assert not left_out(passed(**known))


@pytest.mark.parametrize("path", ["/task/t/job", "/acme/JOB/", "/task/t/secret/s/job?x=1"])
def test_request_that_makes_a_job_is_never_left_out(path: str) -> None:
    assert not left_out(passed(method="POST", target=path))
    assert left_out(passed(method="GET", target=path))


@given(share=st.floats(0, 1), request_id=st.text(max_size=40))
def test_request_that_a_share_keeps_is_kept_by_each_larger_one(
    share: float, request_id: str
) -> None:
    observed = passed(request_id=request_id)
    if not left_out(observed, share):
        assert not left_out(observed, (1 + share) / 2)
    assert left_out(observed, 0.0)
    assert not left_out(observed, 1.0)


def test_share_is_that_of_many_requests() -> None:
    kept = sum(not left_out(passed(request_id=f"{number:032x}"), 0.25) for number in range(4000))
    assert 900 < kept < 1100


def traced(request_id: str, trace: str = TRACE) -> Exchange:
    parent = f"00-{trace}-00f067aa0ba902b7-01".encode()
    return passed(request_id=request_id, fields=[(b"traceparent", parent)])


def test_trace_that_a_trusted_proxy_names_is_logged_whole_or_not_at_all() -> None:
    for trace in (f"{number:032x}" for number in range(1, 30)):
        hops = [left_out(traced(f"r{hop}", trace), 0.5, trusted=True) for hop in range(20)]
        assert len({*hops}) == 1


def test_trace_that_anybody_else_names_decides_nothing() -> None:
    hops = [left_out(traced(f"r{hop}"), 0.5) for hop in range(50)]
    assert len({*hops}) == 2


def test_trace_that_is_none_decides_nothing_whoever_names_it() -> None:
    hops = [left_out(traced(f"r{hop}", "0" * 32), 0.5, trusted=True) for hop in range(50)]
    assert len({*hops}) == 2


def test_nothing_is_asked_where_all_requests_are_logged() -> None:
    assert leaving_out(LogConfig(), lambda _: False) is None
    leaves_out = leaving_out(LogConfig(sample_relay=0.0), lambda _: False)
    assert leaves_out is not None
    assert leaves_out(passed())
