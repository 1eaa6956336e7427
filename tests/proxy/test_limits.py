"""The stage that admits requests, without a connection: what counts, what is free, what is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.admission.addresses import address_key
from gateway.admission.identity.identities import Identity
from gateway.admission.identity.trials import Trials
from gateway.admission.limits.admission import Admission
from gateway.admission.limits.gcra import Rate
from gateway.admission.limits.holds import GRACE_SECONDS, Holds
from gateway.admission.limits.memory_budgets import Budget, MemoryBudgets
from gateway.admission.limits.rules import Rules
from gateway.config import KindLimits, KindOverride, LimitsConfig, Rule
from gateway.errors import ContentTooLarge, GatewayError, Overloaded, TooManyRequests
from gateway.protocols.http.query import Query
from gateway.protocols.theeye.routes import RouteKind
from gateway.proxy.limits import Limits, is_hop, rate_fields

ADDRESS = "192.0.2.7"
JOB = "64ac6478646bb71ee82e3a72"
SMALL = {
    "create": KindLimits(per_second=1.0, burst=2, content_bytes=1024),
    "result": KindLimits(per_second=1.0, burst=3, content_bytes=1024),
    "other": KindLimits(per_second=1.0, burst=20, content_bytes=1024),
}


@dataclass
class Stage:
    """The limits with a clock that a test sets, and a set of tokens that the upstream has taken."""

    config: LimitsConfig
    accepted: set[bytes | None] = field(default_factory=lambda: {b"t" * 16})
    now: float = 1000.0
    trials: Trials = field(kw_only=True)

    def __post_init__(self) -> None:
        self.limits = Limits(
            rules=Rules(self.config),
            memory=MemoryBudgets(),
            shared=None,
            holds=Holds(self.config.holds, lambda: self.now),
            is_accepted=lambda identity: (
                identity.is_verified or identity.token_hash in self.accepted
            ),
            trials=self.trials,
            anonymous=anonymous,
            is_enforced=self.config.mode == "enforce",
            with_fields=self.config.headers,
        )

    def request(self, kind: RouteKind = RouteKind.OTHER, query: str = "", **of: Any) -> Admission:
        return Admission(kind, Query(query), ADDRESS, self.now, **of)

    def admit(
        self,
        kind: RouteKind = RouteKind.OTHER,
        query: str = "",
        of: Identity | None = None,
        **content: Any,
    ) -> Admission:
        """The response to one that is admitted comes at once, and tells nothing of its token."""
        admission = self.request(kind, query, **content)
        self.limits.admit(admission, of or token())
        assert not admission.is_pending
        if admission.trial is not None:
            admission.trial.end()
        return admission

    def passes(self, kind: RouteKind = RouteKind.OTHER, query: str = "", **known: Any) -> bool:
        return self.admit(kind, query, **known).refusal is None

    def over(
        self,
        admission: Admission,
        held: float = 0.0,
        *,
        was_drained: bool = False,
        bytes_received: int = 0,
    ) -> str:
        """The request has ended, after ``held`` seconds of waiting."""
        self.now += held
        return self.limits.settle(
            admission,
            self.now,
            held_seconds=held,
            was_drained=was_drained,
            bytes_received=bytes_received,
        )


def stage(trials: Trials | None = None, **config: Any) -> Stage:
    return Stage(
        LimitsConfig(**{**SMALL, **config}), trials=Trials(5.0) if trials is None else trials
    )


def token(name: bytes = b"t", *, is_verified: bool = False) -> Identity:
    return Identity(name * 16, "", "", "", name * 16, is_verified)


def anonymous(address: str = ADDRESS) -> Identity:
    return Identity(address_key(address), "", "", "", None, False)


@pytest.mark.parametrize(("kind", "burst"), [(RouteKind.CREATE, 2), (RouteKind.RESULT, 3)])
def test_each_kind_has_its_own_rate(kind: RouteKind, burst: int) -> None:
    under_test = stage()
    assert [under_test.passes(kind) for _ in range(burst + 2)] == [True] * burst + [False] * 2
    assert under_test.passes()
    under_test.now += 1
    assert [under_test.passes(kind) for _ in range(2)] == [True, False]


def test_refusal_names_the_limit_and_when_to_come_back() -> None:
    under_test = stage(create=KindLimits(per_second=0.4, burst=1, content_bytes=1024))
    under_test.admit(RouteKind.CREATE)
    refused = under_test.admit(RouteKind.CREATE)
    assert isinstance(refused.refusal, TooManyRequests)
    assert refused.refusal.message == (
        'Too many requests of the kind "create": 0.4 a second and 1 at once are allowed'
    )
    assert refused.refusal.fields == ((b"Retry-After", b"3"),)
    assert refused.limit == "create"


def test_clients_without_a_token_share_their_addresss_tenth() -> None:
    under_test = stage()
    assert [under_test.passes(of=anonymous()) for _ in range(3)] == [True, True, False]
    assert under_test.passes(of=anonymous("192.0.2.8"))
    assert under_test.passes()


def test_made_up_tokens_take_of_their_addresss_budget() -> None:
    under_test = stage()
    passed = [under_test.passes(of=token(b"%c" % letter)) for letter in b"abcdef"]
    assert passed == [True, True, False, False, False, False]
    assert not under_test.passes(of=anonymous())
    assert under_test.passes()


def test_refusal_of_a_made_up_token_says_that_it_is_not_known() -> None:
    under_test = stage()
    for letter in b"ab":
        under_test.admit(of=token(b"%c" % letter))
    refused = under_test.admit(of=token(b"c"))
    assert isinstance(refused.refusal, TooManyRequests)
    assert "unknown tokens from one address" in refused.refusal.message
    assert refused.limit == "unknown_token"


def test_token_that_the_upstream_took_is_free_of_its_address() -> None:
    under_test = stage()
    assert [under_test.passes(of=token(b"a")) for _ in range(3)] == [True, True, False]
    under_test.accepted.add(b"a" * 16)
    assert [under_test.passes(of=token(b"a")) for _ in range(19)] == [True] * 18 + [False]


def under_way(under_test: Stage, of: Identity) -> Admission:
    """A request that was admitted, or waits, and that the upstream has not answered."""
    admission = under_test.request()
    under_test.limits.admit(admission, of)
    return admission


def test_requests_with_a_token_nobody_knows_wait_for_the_first_of_them() -> None:
    under_test = stage()
    first = under_way(under_test, token(b"a"))
    others = [under_way(under_test, token(b"a")) for _ in range(19)]
    assert first.awaited_trial is None
    assert all(other.awaited_trial is first.trial is not None for other in others)
    assert under_test.limits.stats()["other", "admitted"] == 1
    under_test.accepted.add(b"a" * 16)
    for other in others:
        under_test.limits.admit(other, token(b"a"))
        assert not other.is_pending
    assert under_test.passes(of=token(b"b"))
    assert [under_test.passes(of=token(b"a")) for _ in range(2)] == [False, False]


def test_request_whose_wait_is_over_takes_of_its_address_too() -> None:
    under_test = stage()
    first = under_way(under_test, token(b"a"))
    other = under_way(under_test, token(b"a"))
    under_test.limits.admit(other, token(b"a"), may_wait=False)
    assert other.awaited_trial is other.trial is None
    assert under_test.trials.of(b"a" * 16) is first.trial
    assert not under_test.passes(of=token(b"b"))


def test_no_more_wait_than_may() -> None:
    under_test = stage(Trials(5.0, most_waiting=0))
    assert under_way(under_test, token(b"a")).trial is not None
    assert under_way(under_test, token(b"a")).awaited_trial is None
    assert not under_test.passes(of=token(b"b"))


def test_first_request_makes_room_for_the_next_when_it_is_over_or_refused() -> None:
    under_test = stage()
    first = under_way(under_test, token(b"a"))
    under_test.over(first)
    assert len(under_test.trials) == 0
    second = under_way(under_test, token(b"a"))
    assert second.trial is not None
    assert not under_test.passes(of=token(b"b"))
    assert under_test.trials.of(b"b" * 16) is None
    under_test.over(second)
    assert len(under_test.trials) == 0


def test_report_makes_nobody_wait() -> None:
    under_test = stage(mode="report")
    requests = [under_way(under_test, token(b"a")) for _ in range(20)]
    assert all(request.awaited_trial is None for request in requests)
    assert under_test.limits.stats() == {
        ("create", "admitted"): 0,
        ("result", "admitted"): 0,
        ("other", "admitted"): 20,
    }


def test_verified_token_is_free_of_its_address() -> None:
    under_test = stage()
    verified = token(b"v", is_verified=True)
    assert [under_test.passes(of=verified) for _ in range(21)] == [True] * 20 + [False]


HOP = "timeout=5&counter=1"


def test_following_a_redirect_is_free_when_it_was_held() -> None:
    under_test = stage()
    for _ in range(20):
        under_test.over(under_test.admit(RouteKind.RESULT, HOP), held=1.0)
        under_test.now -= 1.0
    assert [under_test.passes(RouteKind.RESULT) for _ in range(4)] == [True] * 3 + [False]


def test_writing_a_counter_buys_no_free_reads() -> None:
    under_test = stage()
    for _ in range(3):
        under_test.over(under_test.admit(RouteKind.RESULT, HOP), held=0.0)
    assert not under_test.passes(RouteKind.RESULT, HOP)
    assert not under_test.passes(RouteKind.RESULT)
    under_test.now += 1
    assert under_test.passes(RouteKind.RESULT, HOP)


def test_reads_at_once_with_a_counter_have_to_be_paid_back() -> None:
    under_test = stage()
    reads = [under_test.admit(RouteKind.RESULT, HOP) for _ in range(10)]
    for read in reads:
        under_test.over(read)
    under_test.now += 7.9
    assert not under_test.passes(RouteKind.RESULT, HOP)
    under_test.now += 0.1
    assert under_test.passes(RouteKind.RESULT, HOP)


def test_first_request_of_a_wait_is_paid_however_long_it_is_held() -> None:
    under_test = stage()
    for _ in range(3):
        under_test.over(under_test.admit(RouteKind.RESULT, "counter=0"), held=30.0)
        under_test.now -= 30.0
    assert not under_test.passes(RouteKind.RESULT)


def test_counter_is_worth_nothing_with_a_made_up_token() -> None:
    under_test = stage()
    passed = [under_test.passes(RouteKind.RESULT, HOP, of=token(b"%c" % each)) for each in b"abcd"]
    assert passed == [True, True, False, False]


def test_hop_that_a_drain_handed_back_is_free() -> None:
    under_test = stage()
    for _ in range(10):
        hop = under_test.admit(RouteKind.RESULT, HOP)
        under_test.over(hop, held=0.2, was_drained=True)
        under_test.now -= 0.2
    assert under_test.passes(RouteKind.RESULT)


def test_hop_that_was_refused_owes_nothing() -> None:
    under_test = stage()
    for _ in range(3):
        under_test.admit(RouteKind.RESULT)
    refused = under_test.admit(RouteKind.RESULT, HOP)
    assert refused.refusal is not None
    under_test.over(refused)
    under_test.now += 1
    assert under_test.passes(RouteKind.RESULT)


def test_rule_changes_the_rate_of_those_it_matches() -> None:
    rule = Rule(token_hash=(b"t" * 16).hex(), create=KindOverride(burst=5))
    under_test = stage(rules=(rule,))
    assert [under_test.passes(RouteKind.CREATE) for _ in range(6)] == [True] * 5 + [False]


def test_content_is_refused_by_its_length() -> None:
    under_test = stage(headers=True)
    request = under_test.admit(RouteKind.CREATE, has_content=True, content_length=1025)
    assert isinstance(request.refusal, ContentTooLarge)
    assert "1024 bytes" in request.refusal.message
    assert request.limit == "create.content_bytes"
    assert len(request.fields) == 2


@pytest.mark.parametrize("length", [1024, None])
def test_content_that_may_be_small_enough_is_bounded_while_it_comes(length: int | None) -> None:
    request = stage().admit(has_content=True, content_length=length)
    assert request.content_bytes == 1024


def test_content_that_turned_out_too_large_is_noted() -> None:
    under_test = stage()
    request = under_test.admit(has_content=True)
    assert under_test.over(request, bytes_received=1024) == ""
    assert under_test.over(request, bytes_received=1025) == "other.content_bytes"
    assert request.limit == "other.content_bytes"
    assert under_test.limits.stats()["other.content_bytes", "refused"] == 1


def hold(under_test: Stage, *clients: Identity) -> GatewayError | None:
    """Hold a request of each client, the later ones within the earlier ones."""
    if not clients:
        return None
    try:
        with under_test.limits.place(under_test.request(), clients[0], JOB):
            return hold(under_test, *clients[1:])
    except GatewayError as failure:
        return failure


def test_results_held_at_once_are_bounded_for_each_client_and_in_all() -> None:
    under_test = stage(holds_per_token=2, holds=3)
    a, b, c = token(b"a"), token(b"b"), token(b"c")
    assert hold(under_test, a, b, a) is None
    assert isinstance(hold(under_test, a, b, a, a), TooManyRequests)
    refused = hold(under_test, a, b, a, c)
    assert isinstance(refused, Overloaded)
    assert refused.fields == ((b"Retry-After", b"1"),)
    assert hold(under_test, a, b, a) is None


def test_place_taken_before_the_job_exists_is_kept_for_its_result() -> None:
    under_test = stage(holds_per_token=1)
    with under_test.limits.place(under_test.request(), token()) as place:
        assert isinstance(hold(under_test, token()), TooManyRequests)
        place.keep(JOB)
    with pytest.raises(TooManyRequests):
        under_test.limits.place(under_test.request(), token())
    under_test.now += GRACE_SECONDS - 0.01
    assert hold(under_test, token()) is None
    assert hold(under_test, token()) is None


def test_place_of_a_client_that_does_not_come_is_free_again() -> None:
    under_test = stage(holds_per_token=1)
    with under_test.limits.place(under_test.request(), token()) as place:
        place.keep(JOB)
    under_test.now += GRACE_SECONDS
    with under_test.limits.place(under_test.request(), token()):
        pass


def test_place_that_is_kept_is_one_clients_and_one_jobs() -> None:
    under_test = stage(holds_per_token=1, holds=1)
    with under_test.limits.place(under_test.request(), token()) as place:
        place.keep(JOB)
    assert isinstance(hold(under_test, token(b"a")), Overloaded)
    with pytest.raises(TooManyRequests):
        under_test.limits.place(under_test.request(), token(), "0" * 24)
    assert hold(under_test, token()) is None


def test_report_lets_everything_through_and_counts_it() -> None:
    under_test = stage(mode="report", holds=1, holds_per_token=1)
    requests = [under_test.admit(RouteKind.CREATE) for _ in range(3)]
    assert [request.limit for request in requests] == ["", "", "create"]
    large = under_test.admit(has_content=True, content_length=5000)
    assert large.limit == "other.content_bytes"
    assert under_test.over(large, bytes_received=5000) == ""
    assert hold(under_test, token(b"a"), token(b"a"), token(b"b")) is None
    assert under_test.limits.stats() == {
        ("create", "admitted"): 2,
        ("result", "admitted"): 0,
        ("create", "reported"): 1,
        ("other", "admitted"): 1,
        ("other.content_bytes", "reported"): 1,
        ("holds_per_token", "reported"): 1,
        ("holds", "reported"): 1,
    }


def test_fields_are_added_only_where_they_are_wanted() -> None:
    assert stage().admit().fields == ()
    assert stage(headers=True).admit(RouteKind.CREATE).fields == (
        (b"RateLimit-Policy", b'"create";q=2;w=2'),
        (b"RateLimit", b'"create";r=1;t=1'),
    )


def test_fields_of_a_refusal_say_what_retry_after_says() -> None:
    under_test = stage(headers=True, create=KindLimits(per_second=0.1, burst=1, content_bytes=1024))
    under_test.admit(RouteKind.CREATE)
    refused = under_test.admit(RouteKind.CREATE)
    assert refused.refusal is not None
    assert refused.fields[1] == (b"RateLimit", b'"create";r=0;t=10')
    assert refused.refusal.fields == ((b"Retry-After", b"10"),)


@pytest.mark.parametrize(
    ("per_second", "burst", "used", "left"),
    [
        (1 / 60, 10, 9, b"r=1;t=60"),
        (1 / 60, 10, 0, b"r=10;t=0"),
        (1 / 60, 10, 1, b"r=9;t=60"),
        (1 / 60, 10, 10, b"r=0;t=60"),
        (1 / 60, 10, 12, b"r=0;t=180"),
        (100.0, 200, 150, b"r=50;t=1"),
        (0.3, 1, 1, b"r=0;t=4"),
    ],
)
def test_t_is_when_one_more_is_available(
    per_second: float, burst: int, used: int, left: bytes
) -> None:
    rate = Rate(per_second, burst)
    budget = Budget(RouteKind.OTHER, b"k", rate, is_known=True)
    assert rate_fields(budget, used * rate.interval)[1] == (b"RateLimit", b'"other";' + left)


@pytest.mark.parametrize(
    ("rate", "policy"),
    [
        (Rate(20.0, 40), b'"other";q=40;w=2'),
        (Rate(100.0, 1), b'"other";q=100;w=1'),
        (Rate(0.25, 3), b'"other";q=3;w=12'),
        (Rate(0.3, 1), b'"other";q=1;w=4'),
    ],
)
def test_policy_is_what_passes_in_a_window(rate: Rate, policy: bytes) -> None:
    budget = Budget(RouteKind.OTHER, b"k", rate, is_known=True)
    assert rate_fields(budget, 0)[0] == (b"RateLimit-Policy", policy)


@pytest.mark.parametrize(
    ("query", "hop"),
    [
        ("", False),
        ("counter=0", False),
        ("counter=1", True),
        ("a=b&co%75nter=12&limit=3", True),
        ("counter=1&counter=1", False),
        ("counter=-1", False),
        ("counter=", False),
        ("counter=²", False),
        ("counter=" + "9" * 5000, True),
        ("access_token=counter", False),
    ],
)
def test_request_that_follows_a_redirect_is_known_by_its_counter(query: str, hop: bool) -> None:
    assert is_hop(Query(query)) is hop
