"""Who decides which requests are traced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.tracing.trace_context import SAMPLED, TraceParent
from gateway.tracing.sampling import DRAWN_BITS, Believed, Sampling

PARENT_ID = "00f067aa0ba902b7"


def sampling(
    ratio: float = 0.5, believed: Believed = "proxies", key: bytes = b"of this test"
) -> Sampling:
    return Sampling(ratio, believed, key)


def caller(number: int = 1, flags: int = SAMPLED) -> TraceParent:
    return TraceParent(f"{number:032x}", PARENT_ID, flags)


@pytest.mark.parametrize(
    ("believed", "is_trusted", "is_believed"),
    [
        ("proxies", True, True),
        ("proxies", False, False),
        ("everybody", True, True),
        ("everybody", False, True),
        ("nobody", True, False),
        ("nobody", False, False),
    ],
)
def test_a_callers_flag_decides_only_where_it_is_believed(
    believed: Believed, is_trusted: bool, is_believed: bool
) -> None:
    none, all_ = sampling(0.0, believed), sampling(1.0, believed)
    assert none.takes(caller(), is_trusted=is_trusted) is is_believed
    assert all_.takes(caller(flags=0), is_trusted=is_trusted) is not is_believed


@given(ratio=st.floats(0, 1), drawn=st.integers(0, 2**DRAWN_BITS - 1))
def test_nothing_is_taken_at_0_and_everything_at_1(ratio: float, drawn: int) -> None:
    assert not sampling(0.0).takes_new(drawn)
    assert sampling(1.0).takes_new(drawn)
    assert sampling(ratio).takes_new(drawn) == (drawn < int(ratio * 2**DRAWN_BITS))


@given(number=st.integers(1, 2**128 - 1), ratio=st.floats(0, 1))
def test_all_requests_of_a_strangers_trace_are_taken_or_none(number: int, ratio: float) -> None:
    one, other = sampling(ratio), sampling(ratio)
    flags = (0, SAMPLED)
    said = {
        part.takes(caller(number, flag), is_trusted=False)
        for part in (one, other)
        for flag in flags
    }
    assert len(said) == 1


def test_the_ratio_of_strangers_traces_is_taken_whatever_ids_they_choose() -> None:
    part = sampling(0.1)
    taken = sum(part.takes(caller(number), is_trusted=False) for number in range(1, 20_001))
    assert 1800 < taken < 2200


def test_who_does_not_know_the_key_does_not_know_which_ids_are_taken() -> None:
    of_key = [
        [sampling(0.5, key=key).takes(caller(one), is_trusted=False) for one in range(1, 2001)]
        for key in (b"one", b"other")
    ]
    same = sum(a == b for a, b in zip(*of_key, strict=True))
    assert 850 < same < 1150
