"""Ids of traces and spans."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.tracing.trace_context import TraceParent, trace_parent
from gateway.tracing.ids import SpanIds


@given(drawn=st.integers(0, 2**128 - 1))
def test_w3c_3_2_2_whatever_is_drawn_is_a_valid_id(drawn: int) -> None:
    ids = SpanIds(lambda length: drawn & (2**length - 1))
    parent = TraceParent(ids.trace(), ids.span())
    assert trace_parent([parent.written()]) == parent
