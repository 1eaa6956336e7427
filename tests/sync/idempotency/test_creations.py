"""One job for each key, whoever comes when: with a store in memory, and a fake upstream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from gateway.admission.identity.identities import Identity
from gateway.admission.identity.token import token_hash
from gateway.config import SyncConfig
from gateway.config.timing import USUAL
from gateway.errors import (
    BadGateway,
    GatewayError,
    IdempotencyGone,
    IdempotencyInProgress,
    IdempotencyMismatch,
    IdempotencyUnavailable,
    IdempotencyUnknown,
    Overloaded,
)
from gateway.protocols.theeye.job import NOT_FOUND, parse_job
from gateway.protocols.theeye.routes import CreateRoute
from gateway.sync.idempotency.creations import KeyedCreations, Made
from gateway.sync.idempotency.first_request import (
    JOIN_SECONDS,
    SETTLE_ATTEMPTS,
    SETTLE_GAP_SECONDS,
)
from gateway.sync.jobs.reader import Refused
from gateway.sync.keys.memory_keys import MemoryKeys
from gateway.sync.keys.state import LEASE_SECONDS, KeyRecord, KeyState
from tests.support.theeye import exchange, job, reply
from tests.support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from gateway.downstream.exchange import Exchange
    from gateway.protocols.theeye.job import Job
    from gateway.sync.jobs.access import JobAccess
    from gateway.sync.jobs.reader import Read
    from gateway.sync.keys.state import KeyName
    from gateway.sync.keys.stores import KeyStore
    from gateway.upstream.messages.messages import UpstreamResponse

pytestmark = pytest.mark.virtual_time

T = TypeVar("T")
CREATED = reply(job(lifecycle="ready"))
GONE = Refused(NOT_FOUND, is_gone=True)


@dataclass
class Upstream:
    """Makes a job for each request it gets, after a while; None is a failure."""

    response: UpstreamResponse | None = CREATED
    seconds: float = 1.0
    takes_it: bool = True
    failure: GatewayError = field(default_factory=lambda: BadGateway("broke off"))
    asked: int = 0

    def sending(self) -> Send:
        return Send(self)


class Send:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.was_sent = False

    async def reply(self) -> UpstreamResponse:
        upstream = self._upstream
        self.was_sent = upstream.takes_it
        upstream.asked += 1
        await asyncio.sleep(upstream.seconds)
        if upstream.response is None:
            raise upstream.failure
        return upstream.response


def job_of(response: UpstreamResponse) -> Job | None:
    return parse_job(response.content)


class Gateway:
    """One process: its creations, and what it reads of jobs."""

    def __init__(self, store: KeyStore | None, upstream: Upstream) -> None:
        self.read: Read = GONE
        self.reads = 0
        self.upstream = upstream
        self.creations = KeyedCreations(store, self._read, job_of, now)

    async def post(
        self, content: bytes = b"[1]", token: bytes = b"t1", user: bytes = b"", key: str = "k"
    ) -> Made:
        return await self.creations.make(
            request(token, user), CreateRoute(), key, content, self.upstream.sending()
        )

    async def _read(self, _access: JobAccess, _identity: Identity) -> Read:
        self.reads += 1
        return self.read


def request(token: bytes, user: bytes = b"") -> Exchange:
    made = exchange("POST", "/task/1/job", (b"Authorization", b"Bearer " + token))
    hashed = token_hash(token)
    made.identity = Identity(user or hashed, "acme", "", "", hashed, is_verified=bool(user))
    return made


def memory() -> MemoryKeys:
    return MemoryKeys(now, SyncConfig())


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def gateway(upstream: Upstream) -> Gateway:
    return Gateway(memory(), upstream)


async def outcomes(*posts: object) -> list[object]:
    return await asyncio.gather(*posts, return_exceptions=True)  # type: ignore[call-overload,no-any-return]


def begun(post: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    return asyncio.get_running_loop().create_task(post)


async def test_repetition_gets_the_first_ones_reply(gateway: Gateway) -> None:
    assert await gateway.post() == Made(CREATED)
    again = await gateway.post()
    assert again.is_replayed
    assert (again.reply.status, again.reply.content) == (200, CREATED.content)
    assert list(again.reply.fields) == [
        (name, b"*" if name == b"Access-Control-Allow-Origin" else value)
        for name, value in CREATED.fields
    ]
    assert (gateway.upstream.asked, gateway.reads) == (1, 0)
    assert gateway.creations.stats().verdicts == {"first": 1, "replayed": 1, "failed": 0}


async def test_of_a_thousand_at_once_on_two_gateways_one_makes_the_job(upstream: Upstream) -> None:
    store = memory()
    gateways = [Gateway(store, upstream), Gateway(store, upstream)]
    made = await asyncio.gather(*(gateways[n % 2].post() for n in range(1000)))
    assert upstream.asked == 1
    assert {one.reply.content for one in made} == {CREATED.content}
    assert [one.is_replayed for one in made].count(False) == 1


async def test_job_is_made_although_the_first_client_leaves(gateway: Gateway) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await gateway.post()
    joined = await gateway.post()
    assert joined.is_replayed
    assert gateway.upstream.asked == 1


async def test_shutdown_lets_the_job_come_to_be(gateway: Gateway) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await gateway.post()
    await gateway.creations.aclose(5.0)
    assert (await gateway.post()).is_replayed


async def test_other_key_or_other_caller_makes_another_job(gateway: Gateway) -> None:
    made = [await gateway.post(), await gateway.post(key="K"), await gateway.post(token=b"t2")]
    assert not any(one.is_replayed for one in made)
    assert gateway.upstream.asked == 3


async def test_other_content_is_refused_during_the_first_request_and_after(
    gateway: Gateway,
) -> None:
    first, second = await outcomes(gateway.post(), gateway.post(b"[2]"))
    assert first == Made(CREATED)
    assert isinstance(second, IdempotencyMismatch)
    with pytest.raises(IdempotencyMismatch):
        await gateway.post(b"[2]")
    assert gateway.upstream.asked == 1


async def test_repetition_beside_another_request_with_its_key_gets_its_reply(
    gateway: Gateway,
) -> None:
    """That one is refused, and this one must not be so with it."""
    await gateway.post()
    other, mine = await outcomes(gateway.post(b"[2]"), gateway.post())
    assert isinstance(other, IdempotencyMismatch)
    assert isinstance(mine, Made)
    assert mine.is_replayed


async def test_other_content_is_refused_at_once_while_another_gateway_sends(
    upstream: Upstream,
) -> None:
    store = memory()
    upstream.seconds = 30.0
    sending = begun(Gateway(store, upstream).post())
    await asyncio.sleep(0)
    with pytest.raises(IdempotencyMismatch):
        await Gateway(store, upstream).post(b"[2]")
    assert now() < 1
    await sending


@pytest.mark.parametrize("failure", [None, reply(b'"Internal Server Error"', 500)])
async def test_request_that_broke_off_is_never_sent_again(
    gateway: Gateway, failure: UpstreamResponse | None
) -> None:
    """A job may have come of it."""
    gateway.upstream.response = failure
    first, joined = await outcomes(gateway.post(), gateway.post())
    if failure is None:
        assert isinstance(first, BadGateway)
    else:
        assert first == Made(failure)
    assert isinstance(joined, IdempotencyUnknown)
    gateway.upstream.response = CREATED
    with pytest.raises(IdempotencyUnknown):
        await gateway.post()
    assert gateway.upstream.asked == 1


async def test_request_that_was_never_sent_is_not_remembered(gateway: Gateway) -> None:
    upstream = gateway.upstream
    upstream.response, upstream.takes_it = None, False
    upstream.failure = Overloaded("full", fields=((b"Retry-After", b"1"),))
    first, joined = await outcomes(gateway.post(), gateway.post())
    assert first is upstream.failure
    assert isinstance(joined, Overloaded)
    assert joined is not first
    assert (joined.message, joined.fields) == ("full", ((b"Retry-After", b"1"),))
    upstream.response = CREATED
    assert await gateway.post() == Made(CREATED)
    assert upstream.asked == 2


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 429])
async def test_what_the_upstream_refuses_is_not_remembered(gateway: Gateway, status: int) -> None:
    refusal = reply(b'"no"', status)
    gateway.upstream.response = refusal
    made = await outcomes(gateway.post(), gateway.post())
    assert made == [Made(refusal), Made(refusal, is_replayed=True)]
    gateway.upstream.response = CREATED
    assert await gateway.post() == Made(CREATED)
    assert gateway.upstream.asked == 2


async def test_refusal_of_one_token_is_not_another_tokens(gateway: Gateway) -> None:
    """Both are of one user, and the first has been logged out."""
    user = b"u" * 16
    gateway.upstream.response = reply(b'"Unauthorized"', 401)
    first = begun(gateway.post(user=user))
    second = begun(gateway.post(user=user, token=b"t2"))
    await asyncio.sleep(0.5)
    assert gateway.upstream.asked == 1
    await first
    gateway.upstream.response = CREATED
    assert await second == Made(CREATED)


async def test_reply_that_names_no_job_is_given_again(gateway: Gateway) -> None:
    gateway.upstream.response = strange = reply(b"\x00", 200)
    await gateway.post()
    await asyncio.sleep(USUAL.fresh_seconds + 1)
    again = await gateway.post()
    assert (again.reply.content, again.is_replayed) == (strange.content, True)
    assert gateway.reads == 0


async def test_job_that_is_gone_is_not_made_again(gateway: Gateway) -> None:
    await gateway.post()
    await asyncio.sleep(USUAL.fresh_seconds + 1)
    with pytest.raises(IdempotencyGone):
        await gateway.post()
    assert (gateway.upstream.asked, gateway.reads) == (1, 1)
    assert gateway.creations.stats().verdicts == {"first": 1, "replayed": 0, "failed": 1}


async def test_request_that_takes_long_is_joined_here_and_told_of_elsewhere(
    upstream: Upstream,
) -> None:
    store = memory()
    here, there = Gateway(store, upstream), Gateway(store, upstream)
    upstream.seconds = 60.0
    first = begun(here.post())
    await asyncio.sleep(1)
    with pytest.raises(IdempotencyInProgress) as told:
        await there.post()
    assert 1 + JOIN_SECONDS <= now() <= 2 + JOIN_SECONDS
    assert (b"Retry-After", b"1") in told.value.fields
    assert (await here.post()).is_replayed
    assert await first == Made(CREATED)
    assert (await there.post()).is_replayed
    assert upstream.asked == 1


async def test_gateway_that_died_leaves_the_key_unknown(upstream: Upstream) -> None:
    store = memory()
    here, there = Gateway(store, upstream), Gateway(store, upstream)
    upstream.seconds = 60.0
    dying = begun(here.post())
    await asyncio.sleep(1)
    await here.creations.aclose(0)
    with pytest.raises(asyncio.CancelledError):
        await dying
    with pytest.raises(IdempotencyUnknown):
        await there.post()
    assert now() <= 2 + LEASE_SECONDS
    assert upstream.asked == 1


async def test_key_that_is_free_again_is_taken_by_who_waits_elsewhere(upstream: Upstream) -> None:
    store = memory()
    upstream.response, upstream.takes_it, upstream.seconds = None, False, 2.0
    first = begun(outcomes(Gateway(store, upstream).post()))
    await asyncio.sleep(1)
    second = begun(Gateway(store, upstream).post())
    await first
    upstream.response = CREATED
    assert await second == Made(CREATED)


class Failing:
    """A store that is down from time to time."""

    def __init__(self) -> None:
        self.inner = memory()
        self.is_down = False
        self.attempts = 0
        self.count = None

    async def aclose(self) -> None: ...

    def reconfigure(self, config: SyncConfig) -> None: ...

    def _check(self) -> None:
        self.attempts += 1
        if self.is_down:
            raise IdempotencyUnavailable("down")

    async def claim(self, name: KeyName, fingerprint: bytes, sender: bytes) -> KeyRecord:
        self._check()
        return await self.inner.claim(name, fingerprint, sender)

    async def renew(self, name: KeyName, fingerprint: bytes, sender: bytes) -> None:
        self._check()
        await self.inner.renew(name, fingerprint, sender)

    async def settle(self, name: KeyName, record: KeyRecord, sender: bytes) -> None:
        self._check()
        await self.inner.settle(name, record, sender)


async def test_nothing_is_sent_while_keys_cannot_be_looked_up(upstream: Upstream) -> None:
    store = Failing()
    gateway = Gateway(store, upstream)
    store.is_down = True
    failed = await outcomes(gateway.post(), gateway.post())
    assert all(isinstance(failure, IdempotencyUnavailable) for failure in failed)
    assert upstream.asked == 0


async def test_job_is_told_of_later_where_the_store_fails_meanwhile(upstream: Upstream) -> None:
    store = Failing()
    gateway = Gateway(store, upstream)
    upstream.seconds = 2 * LEASE_SECONDS
    first = begun(gateway.post())
    await asyncio.sleep(1)
    store.is_down = True
    assert await first == Made(CREATED)
    await asyncio.sleep(2 * SETTLE_GAP_SECONDS)
    store.is_down = False
    await asyncio.sleep(2 * SETTLE_GAP_SECONDS)
    gateway.read = GONE
    record = await store.claim(*await _claimed(gateway), b"other")
    assert record.state is KeyState.CREATED
    attempts = store.attempts
    await asyncio.sleep(10 * SETTLE_GAP_SECONDS)
    assert store.attempts == attempts


async def _claimed(gateway: Gateway) -> tuple[KeyName, bytes]:
    store = gateway.creations._store
    assert isinstance(store, Failing)
    ((name, kept),) = store.inner._kept.items()
    return name, kept.record.fingerprint


async def test_attempts_to_tell_of_it_end(upstream: Upstream) -> None:
    store = Failing()
    gateway = Gateway(store, upstream)
    first = begun(gateway.post())
    await asyncio.sleep(0.5)
    store.is_down = True
    await first
    await asyncio.sleep(2 * SETTLE_ATTEMPTS * SETTLE_GAP_SECONDS)
    assert len(gateway.creations._tasks) == 0


async def test_lease_is_renewed_while_the_request_is_under_way(upstream: Upstream) -> None:
    store = memory()
    upstream.seconds = 5 * LEASE_SECONDS
    first = begun(Gateway(store, upstream).post())
    for _ in range(4):
        await asyncio.sleep(LEASE_SECONDS)
        (kept,) = store._kept.values()
        assert kept.lease_until > now()
    await first


async def test_without_a_store_a_key_is_refused(upstream: Upstream) -> None:
    with pytest.raises(IdempotencyUnavailable, match=r"need redis\.url"):
        await Gateway(None, upstream).post()
    assert upstream.asked == 0


async def test_nothing_is_left_of_a_thousand_requests(gateway: Gateway) -> None:
    await asyncio.gather(*(gateway.post(key=f"k{n}") for n in range(1000)))
    assert gateway.creations._flights == {}
    await asyncio.sleep(0)
    assert len(gateway.creations._tasks) == 0


async def test_keys_kept_are_counted_where_that_can_be_told(upstream: Upstream) -> None:
    gateway = Gateway(memory(), upstream)
    assert gateway.creations.stats().kept == 0
    await gateway.post()
    assert gateway.creations.stats().kept == 1
    assert Gateway(Failing(), upstream).creations.stats().kept is None
    assert Gateway(None, upstream).creations.stats().kept is None
