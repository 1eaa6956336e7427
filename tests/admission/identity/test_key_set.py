from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import TYPE_CHECKING

import pytest

from gateway.admission.identity.claims import Key, Signature
from gateway.admission.identity.key_set import SET_BYTES, KeySet
from gateway.errors import KeysUnavailable
from tests.support.issuer import GAP_SECONDS, Issuer, issuing
from tests.support.replay import until
from tests.support.tokens import RSA, key_set, plain, rsa_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NEW = rsa_key("new")


def by(key_id: str | None) -> Signature:
    return Signature(key_id, "RS256")


K1, K2 = by("k1"), by("k2")


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


async def test_set_is_fetched_once_for_many_requests(issuer: Issuer) -> None:
    keys = issuer.keys()
    found = await asyncio.gather(*(keys.named(K1) for _ in range(50)))
    assert issuer.fetches == 1
    assert found == [(Key("RS256", RSA.public_key(), "k1"),)] * 50


async def test_unknown_key_is_asked_for_and_found_after_a_rotation(issuer: Issuer) -> None:
    keys = issuer.keys()
    replaced: list[float] = []
    keys.when_replaced = lambda: replaced.append(issuer.seconds)
    await keys.named(K1)
    issuer.content = key_set(k1=RSA, k2=NEW)
    issuer.seconds = GAP_SECONDS
    [key] = await keys.named(K2)
    assert key.material == NEW.public_key()
    assert replaced == []
    issuer.content = key_set(k2=NEW)
    issuer.seconds = 2 * GAP_SECONDS
    assert await keys.named(by("k3")) == ()
    assert await keys.named(K1) == ()
    assert replaced == [issuer.seconds]


async def test_key_that_changes_under_its_id_is_replaced(issuer: Issuer) -> None:
    keys = issuer.keys()
    replaced: list[float] = []
    keys.when_replaced = lambda: replaced.append(issuer.seconds)
    await keys.named(K1)
    issuer.content, issuer.seconds = key_set(k1=NEW), GAP_SECONDS
    await keys.named(K2)
    assert replaced == [issuer.seconds]


async def test_flood_of_made_up_key_ids_fetches_no_more_often(issuer: Issuer) -> None:
    keys = issuer.keys()
    for number in range(500):
        issuer.seconds = number * 0.01
        assert await keys.named(by(f"made-up-{number}")) == ()
    assert issuer.fetches == 1
    assert await keys.named(K1)


async def test_last_set_holds_while_it_cannot_be_had(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keys = issuer.keys()
    await keys.named(K1)
    for number, (status, content) in enumerate(
        [
            (500, b"error"),
            (302, b""),
            (200, b"not json"),
            (200, b"[" * 100_000),
            (200, b'{"keys":[]}'),
            (200, b"x" * (SET_BYTES + 1)),
        ],
        start=1,
    ):
        issuer.status, issuer.content = status, content
        issuer.seconds = number * GAP_SECONDS
        with pytest.raises(KeysUnavailable) as caught:
            await keys.named(by("secret-id"))
        assert caught.value.fields == ((b"Retry-After", b"10"),)
        assert await keys.named(K1)
    assert issuer.fetches == 7
    issuer.status, issuer.content = 200, key_set(k1=RSA)
    issuer.seconds += GAP_SECONDS
    assert await keys.named(by("secret-id")) == ()
    assert [record.getMessage() for record in caplog.records] == [
        "identity.jwks_url: keys to verify tokens with: 1",
        "identity.jwks_url: no keys to be had: status 500",
        "identity.jwks_url: keys to verify tokens with: 1",
    ]


async def test_nothing_listens(caplog: pytest.LogCaptureFixture) -> None:
    keys = KeySet("http://127.0.0.1:9/?key=s3cret", lambda: 0.0, gap_seconds=GAP_SECONDS)
    for key_id in ("k1", None):
        with pytest.raises(KeysUnavailable):
            await keys.named(by(key_id))
    assert caplog.text.count("no keys to be had: ClientConnectorError") == 1
    assert "s3cret" not in caplog.text


async def test_set_that_does_not_come_is_waited_for_no_longer_than_allowed(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.content = None
    keys = issuer.keys(fetch_seconds=0.02)
    waiting = [keys.named(by(name)) for name in ("k1", "k2", None)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [KeysUnavailable] * 3
    assert issuer.fetches == 1
    assert "no keys to be had: no response in time" in caplog.text


async def test_client_that_leaves_stops_the_fetch_of_no_other(issuer: Issuer) -> None:
    keys = issuer.keys()
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(keys.named(K1))
        staying = group.create_task(keys.named(K1))
        await until(lambda: keys._fetch is not None)
        leaving.cancel()
    assert staying.result()
    assert issuer.fetches == 1


async def test_set_is_kept_fresh_until_that_is_cancelled(issuer: Issuer) -> None:
    issuer.status = 500
    clock = asyncio.get_running_loop().time
    keys = KeySet(issuer.url, clock, gap_seconds=0.001, refresh_seconds=0.001)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(keys.keep_fresh())
        await until(lambda: issuer.fetches >= 3)
        issuer.status = 200
        await until(lambda: keys.at_hand(K1) != ())
        before = issuer.fetches
        await until(lambda: issuer.fetches >= before + 3)
        issuer.content = None
        await asyncio.sleep(0.005)
        task.cancel()
    assert len(keys._tasks) == 0


async def test_token_that_names_no_key_may_be_of_any(issuer: Issuer) -> None:
    keys = issuer.keys()
    assert await keys.named(by(None))
    issuer.content, issuer.seconds = key_set(k1=RSA, k2=NEW), GAP_SECONDS
    assert await keys.named(K2)
    found = await keys.named(by(None))
    assert [key.material for key in found] == [RSA.public_key(), NEW.public_key()]
    assert issuer.fetches == 2


async def test_key_without_an_id_keeps_no_unknown_id_from_being_fetched(issuer: Issuer) -> None:
    issuer.content = json.dumps({"keys": [plain(RSA)]}).encode()
    keys = issuer.keys()
    [key] = await keys.named(by(None))
    assert keys.at_hand(K2) == (key,)
    assert not keys.may_come(K2)
    issuer.content = json.dumps({"keys": [plain(RSA), plain(NEW, kid="k2")]}).encode()
    issuer.seconds = GAP_SECONDS
    assert keys.may_come(K2)
    [new] = await keys.named(K2)
    assert new.material == NEW.public_key()
    assert not keys.may_come(K2)
    assert issuer.fetches == 2


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://u:s3cret@login.example/keys?token=s3cret#x", "https://login.example/keys"),
        ("/elsewhere", "http://127.0.0.1:PORT/elsewhere"),
        ("", "nowhere"),
        ("http://[", "nowhere"),
    ],
)
async def test_redirecting_address_is_told_once_with_what_to_do(
    issuer: Issuer, caplog: pytest.LogCaptureFixture, location: str, shown: str
) -> None:
    issuer.status, issuer.location = 308, location
    keys = issuer.keys()
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await keys.named(K1)
        issuer.seconds += GAP_SECONDS
    assert issuer.fetches == 3
    [line] = [record.getMessage() for record in caplog.records]
    assert re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", line) == (
        f"identity.jwks_url: no keys to be had: status 308, it redirects to {shown}:"
        " redirects are not followed, name the address where the keys are"
    )


async def test_age_of_a_set_is_that_of_the_last_fetch_that_had_one(issuer: Issuer) -> None:
    keys = issuer.keys()
    issuer.seconds = 5.0
    assert keys.age_seconds() == {"jwks": 5.0}
    await keys.named(K1)
    assert keys.age_seconds() == {"jwks": 0.0}
    issuer.content = b"{}"
    issuer.seconds += GAP_SECONDS
    with pytest.raises(KeysUnavailable):
        await keys.named(K2)
    assert issuer.fetches == 2
    assert keys.age_seconds() == {"jwks": GAP_SECONDS}
