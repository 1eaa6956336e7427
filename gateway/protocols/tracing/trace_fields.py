"""The fields of a request that goes on within a trace. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import Field
    from gateway.protocols.tracing.trace_context import TraceParent

PARENT: Final = b"traceparent"
STATE: Final = b"tracestate"
_PARENT_ONLY: Final = frozenset({PARENT})
_BOTH: Final = frozenset({PARENT, STATE})


def joined(fields: Iterable[Field], parent: TraceParent, *, continues: bool) -> list[Field]:
    """The fields with ``parent`` in place of their own.

    ``continues``: it is of the trace that they are of, so that their ``tracestate`` goes on. That
    of a trace whose ``traceparent`` says nothing is dropped (W3C Trace Context, 4.3).
    """
    replaced = _PARENT_ONLY if continues else _BOTH
    kept = [line for line in fields if line[0].lower() not in replaced]
    kept.append((PARENT, parent.written()))
    return kept
