"""Which fields a request has when it goes on within a trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.tracing.trace_context import SAMPLED, TraceParent, trace_parent
from gateway.protocols.tracing.trace_fields import joined

OURS = TraceParent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", SAMPLED)
THEIRS = (b"TraceParent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-53ce929d0e0e4736-01")
STATE = (b"tracestate", b"congo=t61rcWkgMzE")
NAMES = st.sampled_from([b"Host", b"TraceParent", b"traceparent", b"tracestate", b"X"])


def test_w3c_3_4_parent_is_replaced_and_state_kept() -> None:
    fields = [(b"Host", b"a"), THEIRS, STATE, (b"X", b"y")]
    ours = (b"traceparent", OURS.written())
    assert joined(fields, OURS, continues=True) == [(b"Host", b"a"), STATE, (b"X", b"y"), ours]


def test_w3c_4_3_state_of_a_trace_that_is_not_continued_is_dropped() -> None:
    fields = [(b"traceparent", b"nonsense"), STATE, (b"X", b"y")]
    assert joined(fields, OURS, continues=False) == [(b"X", b"y"), (b"traceparent", OURS.written())]


@given(names=st.lists(NAMES))
@pytest.mark.parametrize("continues", [True, False])
def test_there_is_one_parent_and_all_else_is_as_it_was(names: list[bytes], continues: bool) -> None:
    fields = [(name, b"%d" % at) for at, name in enumerate(names)]
    sent = joined(fields, OURS, continues=continues)
    said = [value for name, value in sent if name.lower() == b"traceparent"]
    assert trace_parent(said) == OURS
    gone = {b"traceparent"} if continues else {b"traceparent", b"tracestate"}
    assert sent[:-1] == [line for line in fields if line[0].lower() not in gone]
