"""When a job is cancelled because its creator stopped waiting, on virtual time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.admission.identity.identities import ANONYMOUS
from gateway.config import SyncConfig
from gateway.errors import BadRequest, Overloaded
from gateway.sync.cancellation.canceller import CancelReason, CancelVerdict
from gateway.sync.jobs.reader import Failing
from gateway.sync.tethers.tether import MAX_CREDENTIALS_BYTES, Departure
from gateway.sync.tethers.tether_scripts import CLAIM_SECONDS
from tests.support.tethered import (
    CANCELS,
    CANCELS_ON_TIMEOUT,
    Process,
    SharedMemory,
    Upstream,
    creating,
    waiting,
)
from tests.support.theeye import JOB_ID
from tests.support.virtual_time import now, run

if TYPE_CHECKING:
    from gateway.errors import Field
    from gateway.sync.tethers.tether import Presence

pytestmark = pytest.mark.virtual_time

ABANDON = 15.0
PATIENCE = 20.0
"""Of processes that share what they know."""
SLACK = 1.0


class One:
    """One process by itself, with a job that its client ``t`` has created."""

    def __init__(self) -> None:
        self.upstream = Upstream()
        self.process = Process(self.upstream)
        self.tethers = self.process.tethers

    async def create(self, *fields: Field) -> None:
        await self.process.create(JOB_ID, *(fields or CANCELS))

    def enter(self, by: str = "t", *, sees: bool = True) -> Presence:
        presence = self.tethers.enter(waiting(JOB_ID, by, sees=sees), JOB_ID)
        assert presence is not None
        return presence

    async def waits(self, seconds: float, departure: Departure, by: str = "t") -> None:
        presence = self.enter(by)
        await asyncio.sleep(seconds)
        self.tethers.leave(presence, departure)

    @property
    def is_cancelled(self) -> bool:
        return self.upstream.cancelled[JOB_ID] > 0


async def test_job_is_cancelled_once_when_nobody_has_come_for_long_enough() -> None:
    one = One()
    await one.create()
    await asyncio.sleep(ABANDON - 0.1)
    assert not one.is_cancelled
    await asyncio.sleep(SLACK)
    assert one.upstream.cancelled == {JOB_ID: 1}
    assert one.upstream.tokens == ["access_token=t"]
    assert one.upstream.hints == [JOB_ID]
    assert len(one.tethers) == 0
    assert one.process.canceller.stats() == {(CancelReason.DISCONNECT, CancelVerdict.CANCELLED): 1}


@pytest.mark.parametrize("departure", [Departure.SENT_ON, Departure.LOST])
async def test_time_begins_anew_each_time_that_the_client_has_left(departure: Departure) -> None:
    one = One()
    await one.create()
    for _ in range(5):
        await one.waits(40, departure)
        await asyncio.sleep(ABANDON - 0.1)
    assert not one.is_cancelled
    await asyncio.sleep(SLACK)
    assert one.is_cancelled


async def test_job_without_such_a_wish_goes_on() -> None:
    one = One()
    await one.create((b"X-TheEye-On-Disconnect", b"continue"))
    assert one.tethers.enter(waiting(JOB_ID), JOB_ID) is None
    await asyncio.sleep(1000)
    assert not one.is_cancelled
    assert len(one.tethers) == 0


async def test_settings_wish_it_for_all() -> None:
    upstream = Upstream()
    process = Process(upstream, config=SyncConfig(on_disconnect="cancel", abandon_seconds=2))
    await process.create(JOB_ID)
    await asyncio.sleep(2 + SLACK)
    assert upstream.cancelled[JOB_ID] == 1


async def test_end_of_the_job_ends_it_all() -> None:
    one = One()
    await one.create()
    await one.waits(3, Departure.ENDED)
    assert len(one.tethers) == 0
    await asyncio.sleep(1000)
    assert not one.is_cancelled
    assert one.tethers.enter(waiting(JOB_ID), JOB_ID) is None


async def test_job_that_ended_unseen_is_left_alone() -> None:
    one = One()
    await one.create()
    one.upstream.ended[JOB_ID] = now()
    await asyncio.sleep(ABANDON + SLACK)
    assert not one.is_cancelled
    assert len(one.tethers) == 0


@pytest.mark.parametrize("departure", [Departure.TOLD, Departure.TIMED_OUT])
async def test_client_that_was_told_that_the_job_goes_on_may_stay_away(
    departure: Departure,
) -> None:
    """Its token is kept no longer."""
    one = One()
    await one.create()
    await one.waits(3, departure)
    assert len(one.tethers) == 0
    await asyncio.sleep(1000)
    assert not one.is_cancelled


async def test_client_that_waits_again_after_that_is_missed_again() -> None:
    one = One()
    await one.create()
    await one.waits(3, Departure.TOLD)
    await asyncio.sleep(1000)
    await one.waits(3, Departure.LOST)
    await asyncio.sleep(ABANDON + SLACK)
    assert one.is_cancelled


async def test_wait_that_is_over_cancels_at_once_where_that_is_wanted() -> None:
    one = One()
    await one.create(*CANCELS_ON_TIMEOUT)
    assert len(one.tethers) == 0, "no token is kept for that"
    await one.waits(3, Departure.SENT_ON)
    await asyncio.sleep(100)
    assert not one.is_cancelled
    await one.waits(3, Departure.TIMED_OUT)
    await asyncio.sleep(SLACK)
    assert one.upstream.cancelled == {JOB_ID: 1}
    assert one.process.canceller.stats() == {(CancelReason.TIMEOUT, CancelVerdict.CANCELLED): 1}


@pytest.mark.parametrize(
    "departure", [Departure.TOLD, Departure.SENT_ON, Departure.LOST, Departure.DRAINED]
)
async def test_nothing_else_is_a_timeout(departure: Departure) -> None:
    one = One()
    await one.create(*CANCELS_ON_TIMEOUT)
    await one.waits(3, departure)
    await asyncio.sleep(1000)
    assert not one.is_cancelled


async def test_both_wishes_cancel_once() -> None:
    one = One()
    await one.create(*CANCELS, *CANCELS_ON_TIMEOUT)
    presence = one.enter()
    one.tethers.leave(presence, Departure.TIMED_OUT)
    await asyncio.sleep(1000)
    assert one.upstream.cancelled == {JOB_ID: 1}
    assert len(one.tethers) == 0


async def test_who_only_reads_the_job_makes_nothing_of_it() -> None:
    """Whatever it says and however it leaves."""
    one = One()
    await one.create(*CANCELS_ON_TIMEOUT)
    for departure in Departure:
        if departure is not Departure.ENDED:
            await one.waits(1, departure, by="reader")
    await asyncio.sleep(1000)
    assert not one.is_cancelled


async def test_who_may_see_the_job_and_waits_keeps_it() -> None:
    one = One()
    await one.create()
    await one.waits(100, Departure.LOST, by="reader")
    await asyncio.sleep(ABANDON - 0.1)
    assert not one.is_cancelled
    await asyncio.sleep(SLACK)
    assert one.upstream.tokens == ["access_token=t"], "of its creator"


async def test_who_may_not_see_the_job_does_not_keep_it() -> None:
    one = One()
    await one.create()
    presence = one.enter("stranger", sees=False)
    await asyncio.sleep(ABANDON + SLACK)
    assert one.is_cancelled
    one.tethers.leave(presence, Departure.SENT_ON)
    assert len(one.tethers) == 0


async def test_other_requests_of_the_client_keep_the_job() -> None:
    one = One()
    await one.create()
    long = one.enter()
    for departure in (Departure.LOST, Departure.TOLD, Departure.SENT_ON):
        await one.waits(1, departure)
    await asyncio.sleep(1000)
    assert not one.is_cancelled
    one.tethers.leave(long, Departure.LOST)
    await asyncio.sleep(ABANDON + SLACK)
    assert one.is_cancelled


async def test_who_comes_while_the_job_is_read_keeps_it() -> None:
    one = One()
    one.upstream.read_seconds = 2.0
    await one.create()
    await asyncio.sleep(ABANDON + 1)
    presence = one.enter()
    await asyncio.sleep(100)
    assert not one.is_cancelled
    assert one.process.canceller.stats() == {(CancelReason.DISCONNECT, CancelVerdict.WITHDRAWN): 1}
    one.tethers.leave(presence, Departure.SENT_ON)
    await asyncio.sleep(ABANDON + 3)
    assert one.is_cancelled


async def test_who_comes_and_goes_while_the_job_is_read_has_its_time_again() -> None:
    one = One()
    one.upstream.read_seconds = 2.0
    await one.create()
    await asyncio.sleep(ABANDON + 1.5)
    await one.waits(1, Departure.SENT_ON)
    assert not one.is_cancelled
    await asyncio.sleep(ABANDON + 3)
    assert one.upstream.cancelled == {JOB_ID: 1}


async def test_job_ends_while_it_is_read() -> None:
    one = One()
    one.upstream.read_seconds = 2.0
    await one.create()
    await asyncio.sleep(ABANDON + 1)
    one.tethers.leave(one.enter(), Departure.ENDED)
    one.upstream.ended[JOB_ID] = now()
    await asyncio.sleep(100)
    assert not one.is_cancelled
    assert len(one.tethers) == 0


async def test_failing_upstream_is_asked_until_it_says(caplog: pytest.LogCaptureFixture) -> None:
    one = One()
    one.upstream.says = Failing()
    await one.create()
    await asyncio.sleep(600)
    assert len(one.tethers) == 1
    one.upstream.says = None
    await asyncio.sleep(61)
    assert one.upstream.cancelled == {JOB_ID: 1}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_upstream_that_fails_for_an_hour_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = One()
    one.upstream.says = Failing()
    await one.create()
    await one.process.create("0" * 24, *CANCELS_ON_TIMEOUT)
    presence = one.tethers.enter(waiting("0" * 24), "0" * 24)
    assert presence is not None
    one.tethers.leave(presence, Departure.TIMED_OUT)
    await asyncio.sleep(2 * 3600)
    assert len(one.tethers) == 0
    one.upstream.says = None
    await asyncio.sleep(3600)
    assert not one.upstream.cancelled
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert sorted(line.split()[1] for line in warned) == sorted(["0" * 24, JOB_ID, JOB_ID])


async def test_refusal_is_told_and_nothing_else_happens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = One()
    one.upstream.refuses = True
    await one.create()
    await asyncio.sleep(1000)
    assert one.upstream.cancelled == {JOB_ID: 1}
    assert one.process.canceller.stats() == {(CancelReason.DISCONNECT, CancelVerdict.REFUSED): 1}
    assert [record.getMessage() for record in caplog.records] == [
        f"job {JOB_ID} is not cancelled, refused with 403: nobody has waited for it for 15 s"
    ]


@pytest.mark.parametrize(
    ("fields", "departure", "why"),
    [
        (CANCELS, Departure.LOST, "nobody has waited for it for 15 s"),
        (CANCELS_ON_TIMEOUT, Departure.TIMED_OUT, "its creator's wait is over"),
    ],
)
async def test_reason_is_told(
    fields: tuple[Field, ...],
    departure: Departure,
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    one = One()
    await one.create(*fields)
    await one.waits(1, departure)
    await asyncio.sleep(100)
    (record,) = caplog.records
    assert record.getMessage() == f"job {JOB_ID} is cancelled: {why}"


async def test_process_that_is_to_stop_hands_over_and_cancels_nothing() -> None:
    one = One()
    await one.create()
    held = one.enter()
    await one.process.create("0" * 24, *CANCELS)
    one.tethers.drain()
    one.tethers.leave(held, Departure.DRAINED)
    await one.process.create("1" * 24, *CANCELS)
    late = one.tethers.enter(waiting("1" * 24), "1" * 24)
    assert late is not None
    one.tethers.leave(late, Departure.LOST)
    await asyncio.sleep(1000)
    await one.process.aclose()
    assert not one.upstream.cancelled
    assert len(one.tethers) == 0


async def test_wait_that_ends_while_the_process_does_is_cancelled_all_the_same() -> None:
    one = One()
    await one.create(*CANCELS_ON_TIMEOUT)
    held = one.enter()
    one.tethers.drain()
    one.tethers.leave(held, Departure.TIMED_OUT)
    await one.process.aclose()
    assert one.is_cancelled


async def test_process_that_ends_in_the_middle_of_a_cancellation_completes_it() -> None:
    one = One()
    await one.create()
    await asyncio.sleep(ABANDON + 0.005)
    one.tethers.drain()
    await one.process.aclose()
    assert one.is_cancelled


async def test_token_is_in_memory_no_longer_than_the_job_is_tied() -> None:
    one = One()
    for departure in (Departure.ENDED, Departure.TOLD, Departure.LOST):
        await one.create()
        (tether,) = one.tethers._tethers.values()
        assert tether.access is not None
        await one.waits(1, departure)
        await asyncio.sleep(ABANDON + SLACK)
        assert tether.access is None
        assert len(one.tethers) == 0
        one.upstream.ended.clear()


async def test_no_job_is_created_that_could_not_be_tied() -> None:
    one = One()
    without = creating(*CANCELS)
    without.identity = ANONYMOUS
    long = creating((b"Authorization", b"Bearer " + b"a" * MAX_CREDENTIALS_BYTES), *CANCELS)
    for asked, by_secret in [(without, False), (creating(*CANCELS), True), (long, False)]:
        with pytest.raises(BadRequest, match="could not be cancelled"):
            one.tethers.wish(asked, by_secret=by_secret)


async def test_tied_jobs_are_bounded() -> None:
    upstream = Upstream()
    process = Process(upstream, most=100)
    for number in range(100):
        await process.create(f"{number:024x}", *CANCELS)
    with pytest.raises(Overloaded):
        process.tethers.wish(creating(*CANCELS), by_secret=False)
    assert not process.tethers.wish(creating(), by_secret=False).is_any
    await asyncio.sleep(ABANDON + 60)
    assert len(process.tethers) == 0
    assert sum(upstream.cancelled.values()) == 100


async def test_request_that_will_be_refused_is_not_counted() -> None:
    one = One()
    await one.create()
    asked = waiting(JOB_ID)
    asked.query = type(asked.query)("customer=a&customer=b")
    assert one.tethers.enter(asked, JOB_ID) is None


class Two:
    """Two processes that share what they know; ``t`` has created the job at the first."""

    def __init__(self) -> None:
        self.upstream = Upstream()
        self.memory = SharedMemory()
        self.processes = [Process(self.upstream, self.memory.of(number)) for number in (1, 2)]

    async def create(self, *fields: Field) -> None:
        await self.processes[0].create(JOB_ID, *(fields or CANCELS))

    def enter(self, at: int, by: str = "t") -> Presence:
        presence = self.processes[at].tethers.enter(waiting(JOB_ID, by), JOB_ID)
        assert presence is not None
        return presence

    async def waits(self, at: int, seconds: float, departure: Departure, by: str = "t") -> None:
        presence = self.enter(at, by)
        await asyncio.sleep(seconds)
        self.processes[at].tethers.leave(presence, departure)

    async def is_over(self) -> None:
        """Nothing is left of the job, also where another process was about to cancel it."""
        await asyncio.sleep(CLAIM_SECONDS + SLACK)
        assert [len(process.tethers) for process in self.processes] == [0, 0]
        assert self.memory.kept == {}

    async def aclose(self) -> None:
        for process in self.processes:
            await process.aclose()

    @property
    def cancelled(self) -> int:
        return self.upstream.cancelled[JOB_ID]


async def test_client_that_goes_on_elsewhere_keeps_its_job() -> None:
    two = Two()
    await two.create()
    await two.waits(1, 300, Departure.SENT_ON)
    assert two.cancelled == 0
    await asyncio.sleep(PATIENCE + SLACK)
    assert two.cancelled == 1
    await two.is_over()
    await two.aclose()


async def test_short_visits_elsewhere_keep_a_job_too() -> None:
    two = Two()
    await two.create()
    for visit in range(40):
        await two.waits(visit % 2, 0.01, Departure.SENT_ON)
        await asyncio.sleep(ABANDON - 0.1)
    assert two.cancelled == 0
    await asyncio.sleep(PATIENCE + SLACK)
    assert two.cancelled == 1
    await two.aclose()


async def test_process_that_dies_leaves_the_job_to_the_one_that_created_it() -> None:
    two = Two()
    await two.create()
    two.enter(1)
    await asyncio.sleep(100)
    await killed(two.processes[1])
    await asyncio.sleep(ABANDON - 0.1)
    assert two.cancelled == 0
    await asyncio.sleep(PATIENCE)
    assert two.cancelled == 1
    await two.processes[0].aclose()


async def test_process_that_has_seen_the_wait_cancels_where_the_creators_is_dead() -> None:
    two = Two()
    await two.create()
    presence = two.enter(1)
    await asyncio.sleep(1)
    await killed(two.processes[0])
    await asyncio.sleep(100)
    assert two.cancelled == 0
    two.processes[1].tethers.leave(presence, Departure.LOST)
    await asyncio.sleep(PATIENCE + SLACK)
    assert two.cancelled == 1
    await two.processes[1].aclose()


async def test_nobody_cancels_where_no_process_has_a_token() -> None:
    two = Two()
    await two.create()
    await killed(two.processes[0])
    await two.waits(1, 1, Departure.LOST, by="reader")
    await asyncio.sleep(1000)
    assert two.cancelled == 0
    await two.processes[1].aclose()


async def test_wait_that_is_over_elsewhere_cancels() -> None:
    two = Two()
    await two.create(*CANCELS_ON_TIMEOUT)
    await two.waits(1, 1, Departure.TIMED_OUT)
    await asyncio.sleep(SLACK)
    assert two.cancelled == 1
    assert two.memory.kept == {}
    await two.aclose()


async def test_reader_elsewhere_keeps_the_job_and_never_cancels_it() -> None:
    two = Two()
    await two.create(*CANCELS, *CANCELS_ON_TIMEOUT)
    await two.waits(1, 300, Departure.TIMED_OUT, by="reader")
    assert two.cancelled == 0
    await asyncio.sleep(PATIENCE + SLACK)
    assert two.upstream.tokens == ["access_token=t"]
    await two.aclose()


async def test_client_that_is_told_elsewhere_that_the_job_goes_on_may_stay_away() -> None:
    two = Two()
    await two.create()
    await two.waits(1, 5, Departure.TOLD)
    await asyncio.sleep(1000)
    assert two.cancelled == 0
    assert [len(process.tethers) for process in two.processes] == [0, 0]
    await two.waits(0, 5, Departure.LOST)
    await asyncio.sleep(PATIENCE + SLACK)
    assert two.cancelled == 1
    await two.aclose()


async def test_end_of_the_job_elsewhere_ends_it_here() -> None:
    two = Two()
    await two.create()
    await two.waits(1, 5, Departure.ENDED)
    await asyncio.sleep(PATIENCE + SLACK)
    assert two.cancelled == 0
    assert len(two.processes[0].tethers) == 0
    await two.aclose()


async def test_process_that_stops_hands_its_waits_over() -> None:
    two = Two()
    await two.create()
    presence = two.enter(0)
    await asyncio.sleep(10)
    two.processes[0].tethers.drain()
    two.processes[0].tethers.leave(presence, Departure.DRAINED)
    await two.processes[0].aclose()
    await two.waits(1, 50, Departure.LOST)
    assert two.cancelled == 0
    await asyncio.sleep(PATIENCE + SLACK)
    assert two.cancelled == 1
    await two.processes[1].aclose()


async def test_nothing_is_cancelled_while_it_cannot_be_told_who_waits() -> None:
    two = Two()
    await two.create()
    await asyncio.sleep(1)
    two.memory.is_down = True
    presence = two.enter(1)
    await asyncio.sleep(300)
    assert two.cancelled == 0
    two.memory.is_down = False
    await asyncio.sleep(300)
    assert two.cancelled == 0, "the other has told since"
    two.processes[1].tethers.leave(presence, Departure.LOST)
    await asyncio.sleep(PATIENCE + 61)
    assert two.cancelled == 1
    await two.aclose()


async def test_job_that_nobody_could_be_told_of_goes_on_when_its_creator_leaves() -> None:
    two = Two()
    two.memory.is_down = True
    await two.create(*CANCELS, *CANCELS_ON_TIMEOUT)
    assert len(two.processes[0].tethers) == 0
    await two.waits(1, 1, Departure.LOST)
    await asyncio.sleep(1000)
    assert two.cancelled == 0
    await two.waits(0, 1, Departure.TIMED_OUT)
    await asyncio.sleep(SLACK)
    assert two.cancelled == 1, "that it wants itself, and is known here"
    two.memory.is_down = False
    await two.aclose()


async def test_others_are_asked_about_a_job_once() -> None:
    two = Two()
    for _ in range(3):
        presence = two.processes[1].tethers.enter(waiting(JOB_ID), JOB_ID)
        if presence is not None:
            await asyncio.sleep(1)
            two.processes[1].tethers.leave(presence, Departure.SENT_ON)
    assert two.memory.asked["look"] == 1
    first = two.processes[0].tethers.enter(waiting("0" * 24), "0" * 24, is_first=True)
    assert first is None
    assert two.processes[0].tethers.enter(waiting("0" * 24), "0" * 24) is None
    assert two.memory.asked["look"] == 1
    await two.aclose()


async def test_id_that_somebody_guessed_before_its_job_was_made_is_asked_about_again() -> None:
    two = Two()
    guess = two.processes[1].tethers.enter(waiting(JOB_ID, "x", sees=False), JOB_ID)
    assert guess is not None
    await asyncio.sleep(1)
    two.processes[1].tethers.leave(guess, Departure.SENT_ON)
    await two.create(*CANCELS)
    await two.waits(1, 3 * PATIENCE, Departure.ENDED)
    assert two.cancelled == 0
    await two.aclose()


async def test_request_that_is_over_before_it_is_known_counts_all_the_same() -> None:
    two = Two()
    await two.create(*CANCELS, *CANCELS_ON_TIMEOUT)
    two.processes[1].tethers.leave(two.enter(1), Departure.SENT_ON)
    await asyncio.sleep(0.1)
    assert len(two.processes[1].tethers) == 1
    two.processes[1].tethers.leave(two.enter(1), Departure.TIMED_OUT)
    await asyncio.sleep(SLACK)
    assert two.cancelled == 1
    await two.aclose()


async def killed(process: Process) -> None:
    """It does nothing from now on, and tells nobody."""
    tethers = process.tethers
    assert process.shared is not None
    process.shared.is_dead = True
    await tethers._tasks.aclose()
    await tethers._tidings._loop.aclose()
    await tethers._tidings._told.aclose()


VISITS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["t", "reader"]),
        st.floats(0.0, 60.0),
        st.floats(0.0, 2 * PATIENCE),
        st.sampled_from([Departure.SENT_ON, Departure.LOST]),
    ),
    max_size=8,
)


class Course:
    """A job of two processes, and clients that come and go."""

    def __init__(self) -> None:
        self.two = Two()
        self.two.upstream.when_cancelled = self._cancelled
        self.waiting = 0
        self.last = now()
        """When the last one left who had come in time."""

    async def visit(self, visits: list[tuple[int, str, float, float, Departure]]) -> None:
        for at, by, seconds, pause, departure in visits:
            tethers = self.two.processes[at].tethers
            is_in_time = self.waiting > 0 or now() - self.last < ABANDON
            presence = tethers.enter(waiting(JOB_ID, by), JOB_ID)
            if presence is None or self.two.cancelled:
                assert not is_in_time
                if presence is not None:
                    tethers.leave(presence, Departure.ENDED)
                return
            self.waiting += is_in_time
            await asyncio.sleep(seconds)
            if is_in_time:
                self.waiting -= 1
                self.last = now()
            is_over = bool(self.two.cancelled)
            tethers.leave(presence, Departure.ENDED if is_over else departure)
            if is_over:
                return
            await asyncio.sleep(pause)

    def _cancelled(self) -> None:
        assert self.waiting == 0
        assert now() - self.last >= ABANDON


@given(st.lists(VISITS, min_size=1, max_size=3))
@hypothesis_settings(max_examples=60)
def test_whoever_waits_keeps_the_job_and_once_nobody_does_it_is_cancelled(
    clients: list[list[tuple[int, str, float, float, Departure]]],
) -> None:
    """Each client visits the processes one after the other, for a time, with pauses."""

    async def course() -> None:
        course = Course()
        await course.two.create()
        course.last = now()
        async with asyncio.TaskGroup() as group:
            for visits in clients:
                group.create_task(course.visit(visits))
        await asyncio.sleep(3 * PATIENCE)
        assert course.two.cancelled == 1
        await course.two.is_over()
        assert not course.two.processes[0].canceller.stats().keys() - {
            (CancelReason.DISCONNECT, verdict) for verdict in CancelVerdict
        }
        await course.two.aclose()

    run(course())
