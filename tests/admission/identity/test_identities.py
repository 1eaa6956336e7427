from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.identity import identities
from gateway.admission.identity.claims import Key, Signature
from gateway.admission.identity.identities import ANONYMOUS, Identities, Identity
from gateway.admission.identity.key_set import KeySet
from gateway.admission.identity.keys import Keys, OneKey
from gateway.admission.identity.token import token_hash
from gateway.config import IdentityConfig
from gateway.errors import KeysUnavailable, Response, Unauthorized
from gateway.protocols.http.fields import lowered
from gateway.protocols.http.query import NO_QUERY, Query
from tests.support.tokens import ACME, SECRET, UNKNOWN, signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import Field

ADDRESS = "192.0.2.7"
REJECTION = Response(401, UNKNOWN)
FORBIDDEN = 1401
"""A 401 that is about what was asked for."""


class Gateway:
    """Identities with clocks of their own; ``keys`` verify tokens."""

    def __init__(self, keys: Keys | None = None, **config: Any) -> None:
        self.seconds = 0.0
        self.identities = Identities(
            IdentityConfig(**config), keys, lambda: self.seconds, lambda: self.seconds, 5.0
        )

    async def identify(self, token: bytes = b"", address: str = ADDRESS) -> Identity:
        fields: list[Field] = [(b"Authorization", b"Bearer " + token)] if token else []
        names = lowered(fields)
        identity = self.identities.identify(NO_QUERY, fields, names, address)
        return identity or await self.identities.identify_by_keys(NO_QUERY, fields, names)

    async def asks(self, token: bytes, status: int) -> Identity:
        """Send a request that the upstream answers with the status."""
        identity = await self.identify(token)
        self.identities.check(identity)
        self.answered(identity, status)
        return identity

    def answered(self, identity: Identity, status: int) -> None:
        said = REJECTION if status == 401 else None
        self.identities.answered(identity, 401 if status == FORBIDDEN else status, said)

    def is_refused(self, identity: Identity) -> bool:
        try:
            self.identities.check(identity)
        except Unauthorized:
            return True
        return False

    async def refuses(self, token: bytes) -> bool:
        return self.is_refused(await self.identify(token))


def verifying(**config: Any) -> Gateway:
    return Gateway(OneKey(Key("HS256", SECRET.encode()), lambda: 0.0), **config)


async def test_opaque_token_is_keyed_by_its_hash_and_believed_nothing() -> None:
    identity = await Gateway().identify(ACME)
    hashed = token_hash(ACME)
    assert identity == Identity(hashed, "acme", "ada", "", hashed, False)
    assert ACME.decode() not in repr(identity)
    forged = await Gateway().identify(signed("x" * 64, org_uuid="acme", username="ada"))
    assert forged.key != identity.key


async def test_token_is_the_same_wherever_it_stands() -> None:
    identities = Gateway().identities
    query = f"access_token={ACME.decode()}"
    assert identities.identify(Query(query), [], [], ADDRESS) == await Gateway().identify(ACME)


async def test_anonymous_requests_are_keyed_by_address() -> None:
    gateway = Gateway()
    identity = await gateway.identify()
    assert identity == Identity(identity.key, "", "", "", None, False)
    assert len(identity.key) == len(ANONYMOUS.key) == 16
    assert await gateway.identify() is identity
    assert (await gateway.identify(address="192.0.2.8")).key != identity.key
    assert not gateway.identities.is_accepted(identity)
    assert not gateway.is_refused(identity)
    gateway.answered(identity, 401)
    assert not gateway.is_refused(identity)


async def test_rejected_token_is_refused_until_its_time_is_over() -> None:
    gateway = Gateway(reject_seconds=10)
    await gateway.asks(ACME, 401)
    assert await gateway.refuses(ACME)
    assert not await gateway.refuses(b"another")
    gateway.seconds = 9.99
    assert await gateway.refuses(ACME)
    gateway.seconds = 10
    identity = await gateway.asks(ACME, 200)
    assert gateway.identities.is_accepted(identity)


async def test_no_token_is_refused_where_that_is_off() -> None:
    gateway = Gateway(reject_seconds=0)
    await gateway.asks(ACME, 401)
    assert not await gateway.refuses(ACME)


@pytest.mark.parametrize("status", [200, 201, 204, 303, 409])
async def test_token_is_accepted_by_an_answer_that_takes_a_session(status: int) -> None:
    gateway = Gateway()
    assert not gateway.identities.is_accepted(await gateway.identify(ACME))
    identity = await gateway.asks(ACME, status)
    assert gateway.identities.is_accepted(identity)
    assert await gateway.identify(ACME) is identity


async def test_address_answers_for_a_token_until_that_is_accepted() -> None:
    gateway = Gateway()
    identity, address = await gateway.identify(ACME), await gateway.identify()
    accountable = gateway.identities.accountable
    assert accountable(identity, ADDRESS) is accountable(address, ADDRESS) is address
    await gateway.asks(ACME, 200)
    assert accountable(identity, ADDRESS) is identity


@pytest.mark.parametrize(
    "status", [101, 301, 400, FORBIDDEN, 403, 404, 405, 408, 429, 500, 502, 503]
)
async def test_token_is_neither_accepted_nor_rejected_by_other_answers(status: int) -> None:
    gateway = Gateway()
    identity = await gateway.asks(ACME, status)
    assert not gateway.identities.is_accepted(identity)
    assert not await gateway.refuses(ACME)
    await gateway.asks(ACME, 200)
    await gateway.asks(ACME, status)
    assert gateway.identities.is_accepted(identity)


@pytest.mark.parametrize("make", [Gateway, verifying], ids=["opaque", "verify"])
async def test_token_that_was_good_is_asked_about_once_more(make: Callable[[], Gateway]) -> None:
    gateway = make()
    is_opaque = gateway.identities._keys is None
    for _ in range(2):
        identity = await gateway.asks(ACME, 200)
        assert gateway.identities.is_accepted(identity)
        identity = await gateway.asks(ACME, 401)
        assert gateway.identities.is_accepted(identity) is not is_opaque
        assert not await gateway.refuses(ACME)
    await gateway.asks(ACME, FORBIDDEN)
    await gateway.asks(ACME, 401)
    assert await gateway.refuses(ACME)
    assert not gateway.identities.is_accepted(await gateway.identify(ACME))


async def test_failures_of_a_genuine_token_that_lie_apart_do_not_add_up() -> None:
    gateway = verifying()
    for _ in range(3):
        await gateway.asks(ACME, 401)
        assert not await gateway.refuses(ACME)
        gateway.seconds += identities.DOUBT_SECONDS
    await gateway.asks(ACME, 401)
    await gateway.asks(ACME, 401)
    assert await gateway.refuses(ACME)


@pytest.mark.no_cover
async def test_flood_of_made_up_tokens_is_bounded_and_costs_no_accepted_token_its_place() -> None:
    gateway = Gateway()
    accepted = [
        await gateway.asks(b"%d" % number, 200) for number in range(identities.KNOWN_TOKENS)
    ]
    for number in range(2 * identities.REJECTED_TOKENS + 10):
        await gateway.asks(b"made-up-%d" % number, 401 if number % 2 else 404)
        await gateway.identify(address=f"192.0.{number >> 8}.{number & 255}")
    kept = gateway.identities
    assert len(kept._known) == identities.KNOWN_TOKENS
    assert len(kept._seen) == identities.SEEN_TOKENS
    assert len(kept._rejected) == identities.REJECTED_TOKENS
    assert 0 < len(kept._addresses) <= identities.ADDRESSES
    assert all(map(kept.is_accepted, accepted))


@pytest.mark.no_cover
async def test_stores_that_are_full_take_little_memory() -> None:
    gateway = Gateway()
    tracemalloc.start()
    try:
        for number in range(identities.REJECTED_TOKENS + 4000):
            identity = await gateway.identify(b"made-up-%d" % number)
            gateway.answered(identity, 401)
        for number in range(identities.KNOWN_TOKENS + 1000):
            identity = await gateway.identify(b"real-%d" % number)
            gateway.answered(identity, 200)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16 * 2**20


Answers = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"b", b"c"]),
        st.sampled_from([200, 303, 401, FORBIDDEN, 403, 404, 409, 500]),
        st.floats(0, 15),
    ),
    max_size=30,
)
"""Which token asks, what the upstream would answer, how long after the last."""


@given(Answers)
async def test_a_token_is_what_the_upstream_said_of_it_last(answers: list[Any]) -> None:
    gateway = Gateway(reject_seconds=10)
    refused_until: dict[bytes, float] = {}
    accepted: set[bytes] = set()
    for token, status, pause in answers:
        gateway.seconds += pause
        identity = await gateway.identify(token)
        is_refused = gateway.seconds < refused_until.get(token, 0)
        assert gateway.is_refused(identity) is is_refused
        assert gateway.identities.is_accepted(identity) is (token in accepted)
        if is_refused:
            continue
        gateway.answered(identity, status)
        if status == 401 and token in accepted:
            accepted.discard(token)
        elif status == 401:
            refused_until[token] = gateway.seconds + 10
        elif status in {200, 303, 409}:
            accepted.add(token)


async def test_address_that_is_none_is_not_kept() -> None:
    gateway = Gateway()
    for number in range(5):
        await gateway.identify(address=f"{number}" * 60_000)
    assert len(gateway.identities._addresses) == 0


async def test_verified_user_has_one_key_whatever_the_login() -> None:
    gateway = verifying()
    first = await gateway.identify(ACME)
    second = await gateway.identify(signed(org_uuid="acme", user_id="7", iat=1))
    assert first.is_verified
    assert gateway.identities.is_accepted(first)
    assert (first.customer, first.user) == ("acme", "ada")
    assert first.key == second.key != token_hash(ACME)
    assert first.token_hash != second.token_hash
    assert not gateway.is_refused(first)
    assert await gateway.identify(ACME) is first
    others = [signed(org_uuid="acme", user_id="8"), signed(org_uuid="globex", user_id="7")]
    assert len({first.key, *[(await gateway.identify(token)).key for token in others]}) == 3


async def test_keys_of_users_addresses_and_tokens_never_meet() -> None:
    gateway = verifying()
    user = await gateway.identify(signed(user_id="192.0.2.7"))
    address = await gateway.identify()
    nameless = await gateway.identify(signed())
    assert nameless.is_verified
    assert nameless.key == nameless.token_hash
    assert len({user.key, address.key, nameless.key}) == 3


@pytest.mark.parametrize(
    "token", [b"garbage", b"x" * 60_000, signed("another secret" * 5, org_uuid="acme")]
)
async def test_forged_token_is_refused(token: bytes) -> None:
    gateway = verifying(reject_seconds=0)
    identity = await gateway.identify(token)
    assert gateway.is_refused(identity)
    assert not identity.is_verified
    assert not gateway.identities.is_accepted(identity)
    gateway.answered(identity, 200)
    assert not gateway.identities.is_accepted(identity)


async def test_anonymous_requests_pass_where_tokens_are_verified() -> None:
    gateway = verifying()
    assert not gateway.is_refused(await gateway.identify())


@pytest.mark.parametrize("expiry", [100, 100.0])
async def test_verified_token_ends_with_its_expiry_where_that_is_verified(expiry: float) -> None:
    token = signed(org_uuid="acme", user_id="7", exp=expiry)
    gateway, lenient = verifying(verify_expiry=True), verifying()
    gateway.seconds = 99
    identity = await gateway.identify(token)
    assert identity.is_verified
    gateway.seconds = lenient.seconds = 100
    assert await gateway.refuses(token)
    assert not await lenient.refuses(token)


@pytest.mark.parametrize("expiry", ["100", True, float("-inf"), -1])
async def test_expiry_that_is_none_is_over_where_it_is_verified(expiry: object) -> None:
    gateway = verifying(verify_expiry=True)
    assert await gateway.refuses(signed(org_uuid="acme", exp=expiry))


@pytest.mark.parametrize("beginning", [100, 99.5])
async def test_verified_token_begins_with_its_nbf_where_its_expiry_is_verified(
    beginning: float,
) -> None:
    token = signed(org_uuid="acme", user_id="7", nbf=beginning, exp=200)
    gateway, lenient = verifying(verify_expiry=True), verifying()
    gateway.seconds = lenient.seconds = 99
    assert await gateway.refuses(token)
    assert not await lenient.refuses(token)
    gateway.seconds = 100
    assert not await gateway.refuses(token)
    gateway.seconds = 200
    assert await gateway.refuses(token)


@pytest.mark.parametrize("beginning", ["0", True, float("inf"), {}])
async def test_beginning_that_is_none_never_comes_where_it_is_verified(beginning: object) -> None:
    gateway = verifying(verify_expiry=True)
    gateway.seconds = 1e12
    assert await gateway.refuses(signed(org_uuid="acme", nbf=beginning))


async def test_token_is_verified_with_each_key_that_may_have_signed_it() -> None:
    first, second = Key("HS256", b"f" * 40), Key("HS256", SECRET.encode())
    keys = KeySet("", lambda: 0.0, gap_seconds=10.0)
    keys._hold((first, second))
    gateway = Gateway(keys)
    assert (await gateway.identify(ACME)).is_verified
    assert await gateway.refuses(signed("another secret" * 5, org_uuid="acme"))


async def test_token_without_an_expiry_never_ends() -> None:
    gateway = verifying(verify_expiry=True)
    gateway.seconds = 1e12
    assert not await gateway.refuses(ACME)


class Counted(OneKey):
    """Counts how often a key is wanted, to verify a token with."""

    wanted = 0

    def at_hand(self, signature: Signature) -> tuple[Key, ...]:
        self.wanted += 1
        return super().at_hand(signature)


async def test_each_token_is_verified_once() -> None:
    keys = Counted(Key("HS256", SECRET.encode()), lambda: 0.0)
    gateway = Gateway(keys)
    for _ in range(3):
        await gateway.identify(ACME)
    assert keys.wanted == 1
    keys.when_replaced()
    await gateway.identify(ACME)
    assert keys.wanted == 2


async def test_rejected_token_is_not_verified_again() -> None:
    keys = Counted(Key("HS256", SECRET.encode()), lambda: 0.0)
    gateway = Gateway(keys)
    await gateway.asks(ACME, 401)
    await gateway.asks(ACME, 401)
    before = keys.wanted
    assert await gateway.refuses(ACME)
    assert keys.wanted == before


class Fetched(KeySet):
    """Keys that come when they are waited for; none where that is said."""

    def __init__(self, comes: Key | None) -> None:
        super().__init__("", lambda: 0.0, gap_seconds=10.0)
        self.comes = comes

    async def named(self, signature: Signature) -> tuple[Key, ...]:
        if self.comes is None:
            raise KeysUnavailable
        self._hold((self.comes,))
        return self.at_hand(signature)


async def test_no_token_passes_while_there_are_no_keys() -> None:
    gateway = Gateway(Fetched(None))
    with pytest.raises(KeysUnavailable):
        await gateway.identify(ACME)
    assert await gateway.refuses(b"garbage")
    assert not await gateway.refuses(b"")


async def test_token_is_judged_when_its_key_has_come() -> None:
    gateway = Gateway(Fetched(Key("HS256", SECRET.encode())))
    forged = signed("another secret" * 5, org_uuid="acme")
    assert await gateway.refuses(forged)
    assert (await gateway.identify(ACME)).is_verified
    assert await gateway.refuses(forged)


async def test_remembered_tokens_are_counted_by_what_is_known_of_them() -> None:
    gateway = Gateway(reject_seconds=10)
    assert gateway.identities.remembered() == {"accepted": 0, "rejected": 0}
    await gateway.asks(b"good", 200)
    for token in (b"bad", b"worse"):
        await gateway.asks(token, 401)
    assert gateway.identities.remembered() == {"accepted": 1, "rejected": 2}
    gateway.seconds = 10
    assert gateway.identities.remembered() == {"accepted": 1, "rejected": 0}


async def test_other_times_count_for_tokens_that_are_refused_already() -> None:
    gateway = Gateway(reject_seconds=10)
    await gateway.asks(ACME, 401)
    gateway.identities.reconfigure(IdentityConfig(reject_seconds=10))
    gateway.identities.reconfigure(IdentityConfig(reject_seconds=20))
    gateway.seconds = 19
    assert await gateway.refuses(ACME)
    gateway.identities.reconfigure(IdentityConfig(reject_seconds=0))
    assert not await gateway.refuses(ACME)


async def test_verified_token_is_judged_again_once_its_expiry_counts() -> None:
    gateway = verifying()
    expired = signed(SECRET, org_uuid="acme", exp=1)
    gateway.seconds = 2
    assert (await gateway.identify(expired)).is_verified
    gateway.identities.reconfigure(IdentityConfig(mode="verify", verify_expiry=True))
    assert await gateway.refuses(expired)
