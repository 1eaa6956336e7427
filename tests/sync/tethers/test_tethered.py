"""What requests tell of how their clients leave, by what they are answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.admission.limits.holds import Place
from gateway.downstream.exchange import Exchange, Kind, Outcome
from gateway.errors import TIME_UP, BadRequest, MemoryFull, Response
from gateway.protocols.theeye.routes import CreateRoute, ResultRoute
from gateway.sync.created_hold import Created
from gateway.sync.preferred import Holding
from gateway.sync.tethers.tether import Departure
from gateway.sync.tethers.tethered import TetheredCreation, TetheredHold, departure_of
from tests.support.tethered import (
    CANCELS,
    CANCELS_ON_TIMEOUT,
    Process,
    Upstream,
    creating,
    made,
    waiting,
)
from tests.support.theeye import JOB_ID, job, reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import Field
    from gateway.protocols.theeye.job import Job
    from gateway.upstream.messages.messages import UpstreamResponse

pytestmark = pytest.mark.virtual_time

LOCATION: Field = (b"Location", b"/job/1/result")
ROUTE = ResultRoute(JOB_ID)


@pytest.mark.parametrize(
    ("status", "fields", "changed", "departure"),
    [
        (200, (), {"job_state": "success"}, Departure.ENDED),
        (303, (), {"job_state": "success"}, Departure.ENDED),
        (500, (), {"job_state": "canceled"}, Departure.ENDED),
        (404, (), {"job_state": ""}, Departure.SENT_ON),
        (303, (LOCATION,), {"job_state": "in_progress"}, Departure.SENT_ON),
        (202, (LOCATION,), {"job_state": "in_progress"}, Departure.TOLD),
        (408, (), {"job_state": "in_progress", "reason": TIME_UP}, Departure.TIMED_OUT),
        (202, (LOCATION,), {"job_state": "in_progress", "reason": TIME_UP}, Departure.TIMED_OUT),
        (303, (LOCATION,), {"outcome": Outcome.DRAINED}, Departure.DRAINED),
        (202, (LOCATION,), {"outcome": Outcome.DRAINED}, Departure.DRAINED),
    ],
)
def test_client_leaves_as_it_was_answered(
    status: int, fields: tuple[Field, ...], changed: dict[str, str], departure: Departure
) -> None:
    """303 without a Location is a status that the task has chosen."""
    asked = waiting(JOB_ID)
    for name, value in changed.items():
        setattr(asked, name, value)
    assert departure_of(asked, Response(status, fields=fields)) is departure


class Gateway:
    """A process, with holds that respond as a test says."""

    def __init__(self) -> None:
        self.upstream = Upstream()
        self.process = Process(self.upstream)
        self.does: Callable[[Exchange], Response] = lambda _: Response(303, fields=(LOCATION,))
        self.seconds = 0.0
        self.hold = TetheredHold(Stub(self), self.process.tethers)
        self.creation = TetheredCreation(CreationStub(self), self.process.tethers, self.job_of)
        self.was_sent = False
        self.says = reply(job())

    def job_of(self, reply: UpstreamResponse) -> Job | None:
        return made(JOB_ID) if reply.status == 200 else None

    async def respond(self, exchange: Exchange) -> Response:
        await asyncio.sleep(self.seconds)
        return self.does(exchange)

    async def reply(self) -> UpstreamResponse:
        self.was_sent = True
        return self.says

    async def create(self, asked: Exchange) -> None:
        self.creation.check(asked, CreateRoute())
        sending = self.creation.sending(asked, CreateRoute(), self)
        assert not sending.was_sent
        await sending.reply()
        assert sending.was_sent

    async def created(self, asked: Exchange, *, by_secret: bool = False) -> Response:
        asked.job_state = "in_progress"
        created = Created(reply(job()), made(JOB_ID), "/", by_secret=by_secret)
        return await self.creation.respond(asked, created, Holding(5.0, redirects=True), Place())

    @property
    def is_cancelled(self) -> bool:
        return self.upstream.cancelled[JOB_ID] == 1


class Stub:
    """Requests for results."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def respond(self, exchange: Exchange, _route: ResultRoute) -> Response:
        return await self._gateway.respond(exchange)


class CreationStub:
    """Requests that have created a job."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def respond(
        self, exchange: Exchange, _created: Created, _holding: Holding, _place: Place
    ) -> Response:
        return await self._gateway.respond(exchange)


async def test_job_is_tied_before_its_client_is_told_of_it() -> None:
    gateway = Gateway()
    await gateway.create(creating(*CANCELS))
    assert len(gateway.process.tethers) == 1
    await asyncio.sleep(16)
    assert gateway.is_cancelled, "the client has left while it was created"


async def test_reply_without_a_job_ties_nothing() -> None:
    gateway = Gateway()
    gateway.says = reply(b'"task not found"', 404)
    await gateway.create(creating(*CANCELS))
    assert len(gateway.process.tethers) == 0


async def test_request_without_a_wish_is_sent_as_ever() -> None:
    gateway = Gateway()
    assert gateway.creation.sending(creating(), CreateRoute(), gateway) is gateway
    response = await gateway.created(creating())
    assert response.status == 303
    assert len(gateway.process.tethers) == 0


async def test_wish_that_is_malformed_or_impossible_creates_nothing() -> None:
    gateway = Gateway()
    for asked, route in [
        (creating((b"X-TheEye-On-Timeout", b"no")), CreateRoute()),
        (creating(*CANCELS), CreateRoute(by_secret=True)),
    ]:
        with pytest.raises(BadRequest):
            gateway.creation.check(asked, route)


async def test_creating_request_that_is_held_keeps_its_job() -> None:
    gateway = Gateway()
    asked = creating(*CANCELS)
    await gateway.create(asked)
    gateway.seconds = 100
    await gateway.created(asked)
    assert not gateway.is_cancelled
    await asyncio.sleep(16)
    assert gateway.is_cancelled


async def test_requests_for_the_result_keep_the_job() -> None:
    gateway = Gateway()
    await gateway.create(creating(*CANCELS))
    gateway.seconds = 40
    for _ in range(3):
        asked = waiting(JOB_ID)
        assert (await gateway.hold.respond(asked, ROUTE)).status == 303
        assert asked.kind is Kind.RESULT
        await asyncio.sleep(10)
    assert not gateway.is_cancelled
    gateway.does = lambda _: Response(200)
    await gateway.hold.respond(waiting(JOB_ID), ROUTE)
    assert len(gateway.process.tethers) == 0
    await asyncio.sleep(100)
    assert not gateway.is_cancelled


async def test_connection_that_is_lost_is_missed() -> None:
    gateway = Gateway()
    await gateway.create(creating(*CANCELS))
    gateway.seconds = 100
    held = asyncio.ensure_future(gateway.hold.respond(waiting(JOB_ID), ROUTE))  # noqa: TID251 - cancelled
    await asyncio.sleep(50)
    held.cancel()
    await asyncio.sleep(14)
    assert not gateway.is_cancelled
    await asyncio.sleep(2)
    assert gateway.is_cancelled


async def test_failure_is_no_end_of_a_wait() -> None:
    def fails(_exchange: Exchange) -> Response:
        raise MemoryFull

    gateway = Gateway()
    await gateway.create(creating(*CANCELS, *CANCELS_ON_TIMEOUT))
    gateway.does = fails
    with pytest.raises(MemoryFull):
        await gateway.hold.respond(waiting(JOB_ID), ROUTE)
    await asyncio.sleep(14)
    assert not gateway.is_cancelled
    await asyncio.sleep(2)
    assert gateway.is_cancelled


async def test_wait_that_is_over_cancels_where_that_is_wanted() -> None:
    def times_out(exchange: Exchange) -> Response:
        exchange.reason = TIME_UP
        return Response(408)

    gateway = Gateway()
    await gateway.create(creating(*CANCELS_ON_TIMEOUT))
    gateway.does = times_out
    await gateway.hold.respond(waiting(JOB_ID, "reader"), ROUTE)
    await asyncio.sleep(1)
    assert not gateway.is_cancelled
    await gateway.hold.respond(waiting(JOB_ID), ROUTE)
    await asyncio.sleep(1)
    assert gateway.is_cancelled


async def test_requests_by_secret_and_for_what_is_no_job_have_to_do_with_no_tether() -> None:
    gateway = Gateway()
    await gateway.create(creating(*CANCELS))
    gateway.does = lambda _: Response(200)
    await gateway.hold.respond(waiting(JOB_ID), ResultRoute(JOB_ID, "secret"))
    await gateway.hold.respond(waiting(JOB_ID), ResultRoute("nonsense"))
    await gateway.created(creating(), by_secret=True)
    assert len(gateway.process.tethers) == 1


async def test_field_that_is_malformed_is_refused_where_a_result_is_asked_for() -> None:
    asked = waiting(JOB_ID)
    wrong: Field = (b"X-TheEye-On-Disconnect", b"no")
    asked.client.fields, asked.client.names = (wrong,), [wrong[0].lower()]
    with pytest.raises(BadRequest):
        await Gateway().hold.respond(asked, ROUTE)
    assert asked.kind is Kind.RESULT
