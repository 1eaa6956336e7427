"""The traced requests that are held, by the jobs that they wait for.

A poll serves all who wait for its jobs, so it is a trace of its own: it is linked to the holds, and
they to it. Only polls that a traced hold waits for are traced.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway.tracing.facts import SpanId
from gateway.tracing.sending import TracedSending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.tracing.facts import SendingTrace, SentSpans
    from gateway.tracing.ids import SpanIds

MOST_LINKS: Final = 16
"""Of a poll to holds, and of a hold to polls: its first ones."""
MOST_HOLDS: Final = 10_000
"""More are traced as well, but without links."""
_LOOKED_THROUGH: Final = 1000
"""So many jobs are looked at to find those of a range."""


class HeldSpan:
    """The time for which a request only waits for jobs (``job_ids`` in lower case)."""

    __slots__ = ("ended", "job_ids", "polls", "span", "started")

    def __init__(self, span: SpanId, job_ids: tuple[str, ...], started: float) -> None:
        self.span = span
        self.job_ids = job_ids
        self.started = started
        self.ended = 0.0
        self.polls: list[SpanId] = []
        """What looked at its jobs meanwhile."""


class PollTrace:
    """The trace of a request that serves several; those of ``holds`` are told of it."""

    span: None = None

    def __init__(
        self,
        links: Sequence[SpanId],
        holds: Sequence[HeldSpan],
        *,
        ids: SpanIds,
        spans: SentSpans,
        clock: Callable[[], float],
    ) -> None:
        self._links = tuple(links)
        self._holds = holds
        self._ids = ids
        self._spans = spans
        self._clock = clock

    def sends(self, purpose: str, method: str, target: str) -> TracedSending:
        span = SpanId(self._ids.trace(), self._ids.span())
        for hold in self._holds:
            if len(hold.polls) < MOST_LINKS:
                hold.polls.append(span)
        what = (purpose, method, target)
        return TracedSending(span, "", self._links, what, spans=self._spans, clock=self._clock)


class TracedWaits:
    """``clock`` gives monotonic seconds. Ids of jobs are in lower case."""

    def __init__(self, ids: SpanIds, spans: SentSpans, clock: Callable[[], float]) -> None:
        self._ids = ids
        self._spans = spans
        self._clock = clock
        self._holds: dict[str, dict[HeldSpan, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, hold: HeldSpan) -> bool:
        """Link polls to a hold until ``discard``; False where there are too many."""
        if self._count >= MOST_HOLDS:
            return False
        self._count += 1
        for job_id in hold.job_ids:
            self._holds.setdefault(job_id, {})[hold] = None
        return True

    def discard(self, hold: HeldSpan) -> None:
        """Link no more to a hold that was added."""
        self._count -= 1
        for job_id in hold.job_ids:
            holds = self._holds[job_id]
            del holds[hold]
            if not holds:
                del self._holds[job_id]

    def look(self, job_ids: Iterable[str]) -> PollTrace | None:
        """The trace of a poll of these jobs; None where no traced hold waits for one."""
        return self._trace(self._holds[one] for one in job_ids if one in self._holds)

    def serve(self, traces: Iterable[SendingTrace | None]) -> PollTrace | None:
        """The trace of a request that is sent for several at once; None where none is traced."""
        spans = (trace.span for trace in traces if trace is not None)
        return self._linked([*islice((one for one in spans if one is not None), MOST_LINKS)], ())

    def look_within(self, oldest: str, newest: str) -> PollTrace | None:
        """The trace of a poll of all jobs from one id to another."""
        jobs = islice(self._holds.items(), _LOOKED_THROUGH)
        return self._trace(holds for one, holds in jobs if oldest <= one <= newest)

    def _trace(self, found: Iterable[dict[HeldSpan, None]]) -> PollTrace | None:
        # A hold may wait for several of the jobs.
        holds = [*dict.fromkeys(islice((hold for holds in found for hold in holds), MOST_LINKS))]
        return self._linked([hold.span for hold in holds], holds)

    def _linked(self, links: Sequence[SpanId], holds: Sequence[HeldSpan]) -> PollTrace | None:
        if not links:
            return None
        return PollTrace(links, holds, ids=self._ids, spans=self._spans, clock=self._clock)
