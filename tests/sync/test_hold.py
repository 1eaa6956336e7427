import asyncio
import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from gateway.admission.identity.identities import Identity
from gateway.admission.limits.buffers import Buffers
from gateway.config import SyncConfig
from gateway.downstream.exchange import Exchange, Kind, Outcome
from gateway.errors import BadRequest, Field, Response, ResponseTooLarge
from gateway.protocols.theeye.routes import ResultRoute
from gateway.sync.following.following import Following
from gateway.sync.hold import ResultHold
from gateway.sync.kept.memory_results import MemoryResults
from gateway.sync.kept.results import Results
from gateway.sync.looks.lessons import Lessons
from gateway.sync.snapshots import Snapshots
from gateway.sync.watch.watcher import Watcher
from gateway.upstream.messages.messages import Purpose, UpstreamResponse
from tests.support.replay import until
from tests.support.theeye import (
    ALLOW_ORIGIN,
    JOB_ID,
    SERVER,
    TheEye,
    exchange,
    finished,
    identity_of,
    job,
    job_hold,
    orchestrator,
    plenty,
    reader,
    reply,
    shown,
)
from tests.support.virtual_time import now
from tests.support.watched import is_empty

pytestmark = pytest.mark.virtual_time

OTHER_JOB_ID = "f" * 24
GONE = reply(b'"job not found"', 404)


class Gateway:
    """The parts a held request passes, in front of ``upstream``."""

    def __init__(self, upstream: TheEye, buffers: Buffers | None = None, **config: Any) -> None:
        settings = SyncConfig(**{"hold_margin_seconds": 0.0, **config})
        buffers = buffers or plenty()
        self.watcher = Watcher(orchestrator(upstream, 100_000, buffers), now, lambda: 0.5, settings)
        self.statuses: list[int] = []
        self.store = MemoryResults(now, settings)
        self.results = Results(reader(upstream, 100_000, buffers).read, self.store)
        lessons = Lessons(self.watcher.learn)
        self.following = Following(self.watcher, self.results, lessons, now, settings)
        self.jobs = job_hold(self.results, self.watcher, self.following, settings, self._answered)
        self.snapshots = Snapshots(self.watcher.may_resume, now)
        self.hold = ResultHold(self.jobs, self.snapshots, self.watcher, buffers, settings)

    def _answered(self, _identity: Identity, status: int, _said: Response | None) -> None:
        self.statuses.append(status)

    async def answer(self, held: Exchange, job_id: str = JOB_ID, secret: str = "") -> Response:
        return await self.hold.respond(held, ResultRoute(job_id, secret))


def get(query: str, fields: tuple[Field, ...] = (), **options: Any) -> Exchange:
    return exchange("GET", f"/job/{JOB_ID}/result?{query}", *fields, **options)


async def ask(query: str, upstream: TheEye, **config: Any) -> tuple[Response, Exchange, float]:
    """One request's answer, what became of it, and how long it took."""
    held, began = get(query), now()
    response = await Gateway(upstream, **config).answer(held)
    return response, held, now() - began


async def test_finished_job_is_answered_at_once() -> None:
    upstream = TheEye(reply(finished()))
    response, held, seconds = await ask("parse&access_token=t", upstream)
    assert response == Response(
        200,
        b'{"a":1}',
        (
            SERVER,
            ALLOW_ORIGIN,
            (b"Content-Type", b"application/json"),
            (b"Cache-Control", b"no-store"),
            (b"X-TheEye-Job-Id", JOB_ID.encode()),
            (b"X-TheEye-Job-State", b"success"),
        ),
    )
    assert seconds == 0
    assert len(upstream.asked) == 1
    assert (held.kind, held.job_id, held.job_state) == (Kind.RESULT, JOB_ID, "success")
    assert held.held_seconds == 0


@pytest.mark.parametrize(
    ("state", "lifecycle", "status"),
    [
        ("success", "finished", 200),
        ("failure", "finished", 500),
        ("canceled", "canceled", 500),
        ("timeout", "terminated", 500),
    ],
)
async def test_end_of_the_job_is_answered_as_it_comes(
    state: str, lifecycle: str, status: int
) -> None:
    ended = reply(finished(state=state, lifecycle=lifecycle))
    response, held, seconds = await ask("timeout=55", TheEye(changes_at=20, then=ended))
    assert response.status == status
    assert shown(response)["X-TheEye-Job-State"] == state
    assert 20 <= seconds < 22
    assert held.held_seconds == seconds


async def test_client_is_sent_on_when_its_time_is_up() -> None:
    response, held, seconds = await ask("a=%20&counter=3&parse", TheEye())
    assert seconds == 5
    assert (response.status, response.content) == (303, b"{}")
    assert shown(response) == {
        "Server": "restify",
        "Access-Control-Allow-Origin": "https://app.example.test",
        "Location": f"/job/{JOB_ID}/result?a=%20&counter=4&parse&limit=10&timeout=5&rid=r",
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-TheEye-Job-Id": JOB_ID,
        "X-TheEye-Job-State": "in_progress",
    }
    assert held.outcome is Outcome.OK


async def test_task_that_names_a_server_is_the_only_one_to() -> None:
    printed = '{"response": {"headers": {"server": "task"}}}'
    ended = reply(finished(output=[printed]))
    response, _, _ = await ask("parse", TheEye(first=ended), profile="4.15")
    names = [(name.lower(), content) for name, content in response.fields]
    assert [content for name, content in names if name == b"server"] == [b"task"]


TIMED_OUT = {
    "statusCode": 408,
    "message": "Request Timeout",
    "job": {"id": JOB_ID, "lifecycle": "assigned", "state": "in_progress"},
}


@pytest.mark.parametrize(
    ("query", "waits"), [("counter=5&limit=6&timeout=10", 10), ("counter=6&limit=6", 0)]
)
async def test_last_request_answers_408_and_one_beyond_does_not_wait(
    query: str, waits: float
) -> None:
    response, _, seconds = await ask(query, TheEye())
    assert response.status == 408
    assert json.loads(response.content) == TIMED_OUT
    assert shown(response)["Cache-Control"] == "no-store"
    assert seconds == waits


async def test_request_beyond_the_limit_answers_the_result_there_is() -> None:
    response, _, _ = await ask("counter=9&limit=6", TheEye(reply(finished())))
    assert (response.status, response.content) == (200, b'["{\\"a\\":1}"]')


async def test_last_request_reads_once_more_before_it_gives_up() -> None:
    response, _, seconds = await ask("counter=5&limit=6&timeout=60", TheEye(changes_at=59.9))
    assert response.status == 200
    assert seconds == 60


async def test_documented_budget_is_one_minute() -> None:
    gateway = Gateway(TheEye())
    query, hops = "limit=6&timeout=10&parse", 0
    while True:
        response = await gateway.answer(get(query))
        hops += 1
        if response.status != 303:
            break
        query = shown(response)["Location"].partition("?")[2]
    assert (response.status, hops, now()) == (408, 6, 60)


@pytest.mark.parametrize("counter", [0, 9])
async def test_wait_goes_on_while_the_upstream_fails(counter: int) -> None:
    upstream = TheEye(None, changes_at=20)
    response, _, seconds = await ask(f"timeout=55&counter={counter}", upstream)
    assert response.status == 200
    assert 20 <= seconds < 25
    assert len(upstream.asked) < 20


@pytest.mark.parametrize(("counter", "status"), [(0, 303), (9, 408), (10, 408)])
async def test_upstream_that_never_answers_is_no_error_of_the_wait(
    counter: int, status: int
) -> None:
    response, _, _ = await ask(f"counter={counter}", TheEye(None))
    assert response.status == status
    assert shown(response)["X-TheEye-Job-State"] == "unknown"
    assert shown(response)["Access-Control-Allow-Origin"] == "*"
    if status == 408:
        assert json.loads(response.content)["job"] == {
            "id": JOB_ID,
            "lifecycle": None,
            "state": None,
        }


async def test_request_takes_its_hold_and_one_time_limit_of_the_upstream_at_most() -> None:
    _, _, seconds = await ask("timeout=5&counter=9", TheEye(None, latency_seconds=60))
    assert seconds == 60
    _, _, seconds = await ask("timeout=60&counter=9", TheEye(None, latency_seconds=50))
    assert seconds <= 110


@pytest.mark.parametrize("then", [reply(b'"Unauthorized"', 401), reply(finished())])
async def test_what_the_upstream_says_to_the_token_is_told_at_once(then: UpstreamResponse) -> None:
    gateway = Gateway(TheEye(changes_at=3, then=then))
    task = asyncio.get_running_loop().create_task(gateway.answer(get("timeout=55")))
    await asyncio.sleep(1)
    assert gateway.statuses == [200]
    await task
    assert gateway.statuses == [200, then.status]


async def test_nothing_is_told_of_a_token_where_the_upstream_says_nothing() -> None:
    gateway = Gateway(TheEye(None))
    await gateway.answer(get("timeout=5"))
    assert gateway.statuses == []


@pytest.mark.parametrize(
    "refusal", [GONE, reply(b'"Unauthorized"', 401), reply(b'"forbidden"', 403)]
)
async def test_refusal_ends_the_wait_at_once_and_passes(refusal: UpstreamResponse) -> None:
    for changes_at in (0, 3):
        response, _, seconds = await ask("timeout=55", TheEye(changes_at=changes_at, then=refusal))
        assert (response.status, response.content) == (refusal.status, refusal.content)
        assert seconds < changes_at * 1.1 + 0.1


@pytest.mark.parametrize(
    ("upstream_says", "told"),
    [
        (reply(finished()), [200]),
        (reply(b'"Unauthorized"', 401), [401]),
        (GONE, [404]),
        (reply(b"busy", 503), []),
        (None, []),
    ],
)
async def test_how_the_upstream_took_the_token_is_told(
    upstream_says: UpstreamResponse | None, told: list[int]
) -> None:
    gateway = Gateway(TheEye(upstream_says))
    await gateway.answer(get("timeout=1&limit=1"))
    assert gateway.statuses == told


@pytest.mark.parametrize(
    "upstream_says", [finished(customer_name="globex"), finished(customer_name=1)]
)
async def test_job_of_another_organization_is_not_found(upstream_says: bytes) -> None:
    response, held, _ = await ask("full", TheEye(reply(upstream_says)))
    assert (response.status, response.content) == (404, b'"job not found"')
    assert shown(response)["X-TheEye-Job-State"] == "unknown"
    assert held.job_state == ""


@pytest.mark.parametrize("job_id", ["xyz", "", "%36" + JOB_ID[1:], JOB_ID + "0"])
async def test_job_id_that_is_none_is_refused_as_the_upstream_does(job_id: str) -> None:
    upstream = TheEye()
    response = await Gateway(upstream).answer(get("timeout=x"), job_id)
    assert (response.status, response.content) == (400, b'"job id is invalid"')
    assert upstream.asked == []


@pytest.mark.parametrize("query", ["timeout=abc", "limit=0", "counter=-1", "customer=.."])
async def test_wrong_parameter_is_refused_without_asking_upstream(query: str) -> None:
    upstream = TheEye()
    with pytest.raises(BadRequest) as refused:
        await Gateway(upstream).answer(get(query))
    assert (b"X-TheEye-Job-Id", JOB_ID.encode()) in refused.value.fields
    assert upstream.asked == []


async def test_every_waiter_is_sent_to_the_same_counter_when_drained() -> None:
    gateway = Gateway(TheEye())
    held = [get("counter=2&parse&limit=3"), get("")]
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(gateway.answer(one)) for one in held]
        await asyncio.sleep(1)
        gateway.watcher.drain()
    assert now() == 1
    for response, query in zip(
        answers,
        ["counter=2&parse&limit=3&timeout=5", "counter=0&limit=10&timeout=5"],
        strict=True,
    ):
        assert (response.result().status, response.result().content) == (303, b"{}")
        location = f"/job/{JOB_ID}/result?{query}&drained=1&rid=r"
        assert shown(response.result())["Location"] == location
    assert {one.outcome for one in held} == {Outcome.DRAINED}


async def test_request_is_released_when_drained_while_the_upstream_stalls() -> None:
    gateway = Gateway(TheEye(latency_seconds=60))
    held = get("counter=2")
    async with asyncio.TaskGroup() as group:
        response = group.create_task(gateway.answer(held))
        await asyncio.sleep(1)
        gateway.watcher.drain()
    assert now() == 1
    assert "counter=2&" in shown(response.result())["Location"]
    assert held.outcome is Outcome.DRAINED
    assert gateway.watcher._scopes == set()


async def test_two_hundred_waiters_get_the_result_each_with_its_own_token() -> None:
    upstream = TheEye(changes_at=10)
    gateway = Gateway(upstream)
    async with asyncio.TaskGroup() as group:
        answers = [
            group.create_task(gateway.answer(get(f"timeout=30&access_token=t{number}")))
            for number in range(200)
        ]
    assert {response.result().status for response in answers} == {200}
    assert len(upstream.asked) < 200 + 200 + 60
    last = [asked.target.partition("=")[2] for asked in upstream.asked[-200:]]
    assert sorted(last) == sorted(f"t{number}" for number in range(200))


async def test_waiter_without_leave_to_see_the_job_never_joins_the_watch() -> None:
    upstream = TheEye(None, changes_at=2, then=reply(job()))
    gateway = Gateway(upstream)
    stranger = get("timeout=4")
    stranger.identity = identity_of("globex")
    async with asyncio.TaskGroup() as group:
        refused = group.create_task(gateway.answer(stranger))
        sent_on = group.create_task(gateway.answer(get("timeout=4")))
        await asyncio.sleep(1)
        assert gateway.watcher.stats().watches == 2
    assert refused.result().status == 404
    assert sent_on.result().status == 303


async def test_job_too_large_to_hold_is_a_502_that_names_it() -> None:
    large = reply(finished(output=["x" * 200_000]))
    with pytest.raises(ResponseTooLarge) as refused:
        await ask("full", TheEye(large))
    assert (b"X-TheEye-Job-Id", JOB_ID.encode()) in refused.value.fields


async def test_client_that_follows_its_redirect_late_gets_the_result_another_of_its_token_saw() -> (
    None
):
    upstream = TheEye(changes_at=5)
    gateway = Gateway(upstream)
    late, other = get("timeout=2&access_token=t"), get("timeout=30&access_token=t")
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(gateway.answer(one)) for one in (late, other)]
    assert [response.result().status for response in answers] == [303, 200]
    await asyncio.sleep(30)
    upstream.then = GONE
    followed = get(shown(answers[0].result())["Location"].partition("?")[2])
    assert await gateway.answer(followed) == answers[1].result()
    assert followed.job_state == "success"
    stranger = get("timeout=30&access_token=t")
    stranger.identity = Identity(b"s", "acme", "", "", b"s", is_verified=False)
    assert (await gateway.answer(stranger)).status == 404


async def test_result_is_read_and_kept_for_a_client_that_leaves_as_its_job_ends() -> None:
    upstream = TheEye(changes_at=5, latency_seconds=0.5)
    gateway = Gateway(upstream)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(gateway.answer(get("timeout=30&access_token=t")))
        await until(lambda: len(gateway.results._tasks) == 1)
        leaving.cancel()
    await asyncio.sleep(1)
    assert len(gateway.results._tasks) == 0
    assert gateway.watcher.stats().watches == 0
    upstream.then = GONE
    assert (await gateway.answer(get("access_token=t"))).status == 200


async def test_profile_chooses_the_default_format() -> None:
    upstream = TheEye(reply(finished()))
    assert (await ask("", upstream, profile="4.15"))[0].content == b'{"a":1}'


async def test_result_by_secret_is_waited_for_on_the_upstreams_own_route() -> None:
    upstream = TheEye(reply(b"{}", 303), changes_at=3, then=reply(finished(state="failure"), 500))
    response = await Gateway(upstream).answer(get("parse", customer=""), secret="5ec")
    assert (response.status, response.content) == (500, b'{"a":1}')
    assert 3 <= now() < 3.5
    upstream = TheEye(reply(b"{}", 303))
    response = await Gateway(upstream).answer(get(""), secret="5ec")
    path = f"/job/{JOB_ID}/secret/5ec/result"
    assert shown(response)["Location"] == f"{path}?counter=1&limit=10&timeout=5&rid=r"
    assert {asked.target for asked in upstream.asked} == {f"{path}?full&counter=0&limit=1"}


async def test_workflow_by_secret_ends_with_what_the_upstream_says_of_its_own_job() -> None:
    ended = finished(_type="WorkflowJob", output=[], active_paths_counter=0)
    upstream = TheEye(reply(b"{}", 303), changes_at=3, then=reply(ended))
    response = await Gateway(upstream).answer(get("parse", customer=""), secret="5ec")
    assert (response.status, response.content) == (200, b"null")
    assert shown(response)["X-TheEye-Job-State"] == "success"


RAN = {
    "creation_date": "2026-11-24T13:00:00.000Z",
    "last_update": "2026-11-24T13:00:20.000Z",
}


async def reads_of_the_sixth(task_ids: list[str]) -> list[float]:
    """When a job was read, after five others had ended; the tasks they all are of are given."""

    upstream = TheEye()
    gateway = Gateway(upstream)
    began = 0.0
    for number, task_id in enumerate(task_ids):
        began, job_id = now(), f"{number:024x}"
        members = RAN | {"id": job_id, "task_id": task_id}
        upstream.first, upstream.then = reply(job(**members)), reply(finished(**members))
        upstream.changes_at = began + 20
        upstream.asked.clear()
        response = await gateway.answer(get("timeout=55"), job_id)
        assert response.status == 200
    return [asked.at - began for asked in upstream.asked]


async def test_job_of_a_known_task_is_polled_seldom_before_it_usually_ends() -> None:
    unknown = await reads_of_the_sixth([*"12345", "6"])
    known = await reads_of_the_sixth([*"66666", "6"])
    assert len(unknown) > 30
    assert len(known) < 12
    assert known[-1] < 21.5


async def sent_on(gateway: Gateway, query: str, hops: int = 1, **options: Any) -> str:
    """The query of the client's next request, after so many that ended without a result."""
    for _ in range(hops):
        response = await gateway.answer(get(query, **options))
        assert response.status == 303
        assert shown(response)["X-TheEye-Job-State"] == "in_progress"
        query = shown(response)["Location"].partition("?")[2]
    return query


def reads(upstream: TheEye) -> int:
    return sum(asked.purpose is Purpose.READ for asked in upstream.asked)


async def test_client_that_follows_its_redirects_has_the_job_read_once() -> None:
    upstream = TheEye(changes_at=32)
    gateway = Gateway(upstream)
    query = await sent_on(gateway, "access_token=t&parse", hops=6)
    response = await gateway.answer(get(query))
    if response.status == 303:
        response = await gateway.answer(get(shown(response)["Location"].partition("?")[2]))
    assert (response.status, reads(upstream)) == (200, 2)
    assert 32 <= now() < 36


@pytest.mark.parametrize("seconds", [3.5, 4.5])
async def test_client_that_comes_late_has_the_job_read_again(seconds: float) -> None:
    upstream = TheEye()
    gateway = Gateway(upstream)
    query = await sent_on(gateway, "")
    await asyncio.sleep(seconds)
    await sent_on(gateway, query)
    assert reads(upstream) == (1 if seconds < 4 else 2)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("access_token=a", "access_token=b"),
        ("access_token=a", ""),
        ("customer=acme", "customer=globex"),
    ],
)
async def test_client_never_waits_on_because_another_was_shown_the_job(
    first: str, second: str
) -> None:
    upstream = TheEye()
    gateway = Gateway(upstream)
    query = await sent_on(gateway, first)
    upstream.first = reply(b'"Unauthorized"', 401)
    response = await gateway.answer(get(query.replace(first, second)))
    assert response.status == 401


async def test_client_of_another_origin_gets_access_control_fields_of_its_own() -> None:
    upstream = TheEye()
    gateway = Gateway(upstream)
    query = await sent_on(gateway, "")
    held = exchange("GET", f"/job/{JOB_ID}/result?{query}", (b"Origin", b"https://b.test"))
    await gateway.answer(held)
    assert reads(upstream) == 2


async def test_revoked_token_is_noticed_by_a_client_that_waits_on() -> None:
    upstream = TheEye(changes_at=5, then=reply(b'"Unauthorized"', 401))
    gateway = Gateway(upstream)
    query = await sent_on(gateway, "access_token=t")
    response = await gateway.answer(get(query))
    assert response.status == 401
    assert 5 <= now() < 5.6


async def test_hint_between_two_requests_has_the_job_read_at_once() -> None:
    upstream = TheEye(changes_at=5)
    gateway = Gateway(upstream)
    gateway.watcher.rely_on_hints(True)
    query = await sent_on(gateway, "")
    gateway.watcher.hint(JOB_ID)
    response = await gateway.answer(get(query))
    assert (response.status, now()) == (200, 5)


async def test_end_that_may_have_been_missed_between_two_requests_is_noticed_at_once() -> None:
    upstream = TheEye(changes_at=5)
    gateway = Gateway(upstream)
    gateway.watcher.rely_on_hints(True)
    query = await sent_on(gateway, "")
    gateway.watcher.poll_all()
    response = await gateway.answer(get(query))
    assert (response.status, now()) == (200, 5)


async def test_clients_that_come_while_all_jobs_are_polled_cost_no_read_each() -> None:
    upstream = TheEye()
    gateway = Gateway(upstream)
    gateway.watcher.rely_on_hints(True)
    query = await sent_on(gateway, "")
    gateway.watcher.poll_all()
    await sent_on(gateway, query)
    assert reads(upstream) == 1
    assert [asked.at for asked in upstream.asked] == [0, 5]


async def test_job_is_read_again_where_nobody_was_shown_it_for_long() -> None:
    upstream = TheEye(changes_at=1, then=None)
    gateway = Gateway(upstream)
    query = await sent_on(gateway, "timeout=30", hops=3)
    assert reads(upstream) == 1
    await gateway.answer(get(query))
    assert reads(upstream) == 2


class Hasty(TheEye):
    """Lists say of every job that it has ended."""

    async def request(
        self, method: str, target: str, *rest: Any, **options: Any
    ) -> UpstreamResponse:
        response = await TheEye.request(self, method, target, *rest, **options)
        ids = re.findall(r"=([0-9a-f]{24})", target)
        listed = [{"id": job_id, "lifecycle": "finished"} for job_id in ids]
        return reply(json.dumps(listed).encode()) if ids else response


class Many(Hasty):
    """Has every job that it is asked for."""

    async def request(
        self, method: str, target: str, *rest: Any, **options: Any
    ) -> UpstreamResponse:
        response = await Hasty.request(self, method, target, *rest, **options)
        asked_for = target.partition("?")[0][-24:].encode()
        return replace(response, content=response.content.replace(JOB_ID.encode(), asked_for))


@pytest.mark.parametrize("then", [reply(job()), reply(b"{}"), reply(b"", 500)])
async def test_list_that_says_otherwise_than_the_job_leads_to_few_reads(
    then: UpstreamResponse,
) -> None:
    upstream = Hasty(changes_at=0.05, then=then, latency_seconds=0.01)
    gateway = Gateway(upstream)
    query = "timeout=30&access_token=t"
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(gateway.answer(get(query)))
        other = exchange("GET", f"/job/{OTHER_JOB_ID}/result?{query}")
        group.create_task(gateway.answer(other, OTHER_JOB_ID))
    assert len(upstream.asked) < 60


@pytest.mark.parametrize("relies", [True, False])
async def test_end_that_cannot_be_read_for_a_while_is_read_soon_after(relies: bool) -> None:
    upstream = TheEye(latency_seconds=0.001)
    gateway = Gateway(upstream)
    gateway.watcher.rely_on_hints(relies)
    async with asyncio.TaskGroup() as group:
        held = group.create_task(gateway.answer(get("timeout=30")))
        await asyncio.sleep(3)
        upstream.asked.clear()
        upstream.first = None
        gateway.watcher.hint(JOB_ID)
        await asyncio.sleep(10)
        assert len(upstream.asked) < 10
        upstream.first = reply(finished())
    assert held.result().status == 200
    assert now() < 20


async def test_end_that_could_not_be_read_is_not_forgotten_when_its_client_comes_again() -> None:
    upstream = TheEye(latency_seconds=0.001)
    gateway = Gateway(upstream)
    gateway.watcher.rely_on_hints(True)
    query = await sent_on(gateway, "access_token=t&limit=99")
    upstream.first = None
    gateway.watcher.hint(JOB_ID)
    query = await sent_on(gateway, query, hops=2)
    upstream.first = reply(finished())
    assert (await gateway.answer(get(query))).status == 200
    assert now() < 17


async def test_false_alarm_does_not_make_an_old_job_be_polled_as_a_new_one() -> None:
    upstream = TheEye()
    gateway = Gateway(upstream)
    async with asyncio.TaskGroup() as group:
        group.create_task(gateway.answer(get("timeout=60")))
        await asyncio.sleep(40)
        upstream.asked.clear()
        gateway.watcher.hint(JOB_ID)
    assert len(upstream.asked) < 10


@pytest.mark.no_cover
async def test_nothing_is_left_of_many_waits_however_they_ended() -> None:
    async def client(gateway: Gateway, number: int) -> None:
        job_id, token = f"{number:024x}", number % 7
        held = exchange("GET", f"/job/{job_id}/result?access_token={token}&timeout=9")
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(gateway.answer(held, job_id))
            await asyncio.sleep(number % 5 * 0.7)
            match number % 4:
                case 0:
                    gateway.watcher.hint(job_id)
                case 1:
                    asked.cancel()
                case 2:
                    gateway.watcher.poll_all()
                case _:
                    gateway.watcher.rely_on_hints(number % 3 == 0)
        if not asked.cancelled():
            statuses[asked.result().status] += 1

    statuses: Counter[int] = Counter()

    gateway = Gateway(Many(changes_at=9, latency_seconds=0.01), follow_seconds=30.0)
    async with asyncio.TaskGroup() as group:
        for number in range(210):  # each way to end it with each token, and with each pause
            group.create_task(client(gateway, number))
            await asyncio.sleep(0.01)
    assert set(statuses) == {200, 303}
    assert gateway.store.stats().entries
    await asyncio.sleep(650)
    assert not len(gateway.following)
    assert is_empty(gateway.watcher)
    assert not gateway.snapshots._kept
    assert not gateway.watcher._registry._hints
    assert not gateway.store.stats().entries
    assert not gateway.results._tasks
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_rfc_7240_4_3_request_for_a_result_is_held_for_as_long_as_is_preferred() -> None:
    prefers = get("timeout=5&limit=1", fields=((b"Prefer", b"wait=30"),))
    response = await Gateway(TheEye(changes_at=20)).answer(prefers)
    assert response.status == 200
    assert 20 <= now() < 22
    named = shown(response)
    assert (named["Preference-Applied"], named["Vary"]) == ("wait=30", "Prefer")


@pytest.mark.parametrize(
    ("prefer", "seconds"), [(b"wait=3", 3), (b"wait=0", 0), (b"respond-async", 0)]
)
@pytest.mark.parametrize("counter", [0, 99])
async def test_job_that_goes_on_is_accepted_where_that_is_preferred(
    prefer: bytes, seconds: float, counter: int
) -> None:
    upstream = TheEye()
    held = get(f"counter={counter}", fields=((b"Prefer", prefer),))
    response = await Gateway(upstream).answer(held)
    assert now() == seconds
    assert (response.status, response.content) == (202, job())
    named = shown(response)
    assert named["Location"] == f"/job/{JOB_ID}/result?counter={counter}&limit=10&timeout=5&rid=r"
    assert int(named["Retry-After"]) >= 1
    assert named["Preference-Applied"] == prefer.decode()
    assert (named["Vary"], named["X-TheEye-Job-State"]) == ("Prefer", "in_progress")
    assert len(upstream.asked) == 1 or seconds


async def test_job_of_which_nothing_can_be_said_is_accepted_by_its_id() -> None:
    held = get("", fields=((b"Prefer", b"wait=2"),))
    response = await Gateway(TheEye(None)).answer(held)
    assert response.status == 202
    assert json.loads(response.content) == {"id": JOB_ID, "lifecycle": None, "state": None}


async def test_drained_process_accepts_the_job_where_that_is_preferred() -> None:
    gateway = Gateway(TheEye())
    held = get("", fields=((b"Prefer", b"wait=50"),))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(gateway.answer(held))
        await asyncio.sleep(2)
        gateway.watcher.drain()
    response = asking.result()
    assert (response.status, held.outcome, now()) == (202, Outcome.DRAINED, 2)
    assert json.loads(response.content)["lifecycle"] == "assigned"


async def test_malformed_preference_of_a_strict_client_is_refused() -> None:
    held = get("", fields=((b"Prefer", b"wait=x"), (b"Prefer", b"handling=strict")))
    with pytest.raises(BadRequest, match="malformed"):
        await Gateway(TheEye()).answer(held)


@pytest.mark.parametrize(
    ("named", "margin", "seconds"), [(5, 0.2, 4.8), (1, 0.2, 0.9), (60, 2.0, 58), (5, 0.0, 5)]
)
async def test_hold_ends_a_little_before_its_client_gives_up_reading(
    named: int, margin: float, seconds: float
) -> None:
    query = f"timeout={named}"
    response, _, took = await ask(query, TheEye(), hold_margin_seconds=margin)
    assert response.status == 303
    assert took == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("status", "message"), [(408, "Request Timeout"), (504, "Gateway Timeout")]
)
async def test_wait_that_ends_without_a_result_has_the_status_that_is_set(
    status: int, message: str
) -> None:
    response, held, _ = await ask("counter=9", TheEye(), timeout_status=status)
    assert (response.status, held.reason) == (status, "TimeUp")
    told = json.loads(response.content)
    assert (told["statusCode"], told["message"]) == (status, message)
    assert told["job"]["id"] == JOB_ID


async def test_wait_that_ends_without_a_result_may_say_that_the_job_goes_on() -> None:
    response, _, _ = await ask("counter=9&parse", TheEye(), timeout_status=202)
    assert response.status == 202
    assert json.loads(response.content)["lifecycle"] == "assigned"
    named = shown(response)
    assert named["Location"] == f"/job/{JOB_ID}/result?counter=0&parse&limit=10&timeout=5&rid=r"
    assert int(named["Retry-After"]) >= 1
    assert "Vary" not in named


async def test_wait_is_fitted_into_the_redirects_that_are_set() -> None:
    upstream = TheEye()
    gateway = Gateway(upstream, max_redirects=3)
    query, statuses = "limit=12&timeout=5", []
    while True:
        response = await gateway.answer(get(query))
        statuses.append(response.status)
        if response.status != 303:
            break
        query = shown(response)["Location"].partition("?")[2]
    assert (statuses, now()) == ([303, 303, 408], 60)
    assert query == "limit=3&timeout=20&counter=2&rid=r"
