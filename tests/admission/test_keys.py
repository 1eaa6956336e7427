from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.admission import keys as module
from gateway.admission.claims import Claims, Key, verified
from gateway.admission.keys import (
    GAP_SECONDS,
    SET_BYTES,
    SET_KEYS,
    KeySet,
    OneKey,
    keys_in,
    keys_of,
)
from gateway.config import IdentityConfig
from gateway.errors import KeysUnavailable
from gateway.signing_keys import UnusableKey
from tests.admission.tokens import RSA, WEAK, key_set, rsa_key, signed
from tests.demo.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NEW = rsa_key("new")


class Issuer:
    """Serves a key set, or whatever else a test has it serve."""

    def __init__(self) -> None:
        self.url = ""
        self.content: bytes | None = key_set(k1=RSA)
        """None: it never answers."""
        self.status = 200
        self.fetches = 0
        self.seconds = 0.0
        """The clock of who fetches."""

    async def answer(self, _request: web.BaseRequest) -> web.StreamResponse:
        self.fetches += 1
        if self.content is None:
            await asyncio.Event().wait()
        return web.Response(body=self.content, status=self.status)

    def keys(self) -> KeySet:
        return KeySet(self.url, lambda: self.seconds)


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    runner = web.ServerRunner(web.Server(issuer.answer, access_log=None), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    issuer.url = f"http://{host}:{port}/jwks.json"
    try:
        yield issuer
    finally:
        await runner.cleanup()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


async def test_set_is_fetched_once_for_many_requests(issuer: Issuer) -> None:
    keys = issuer.keys()
    found = await asyncio.gather(*(keys.named("k1") for _ in range(50)))
    assert issuer.fetches == 1
    assert found == [Key("RS256", RSA.public_key())] * 50


async def test_unknown_key_is_asked_for_and_found_after_a_rotation(issuer: Issuer) -> None:
    keys = issuer.keys()
    replaced: list[float] = []
    keys.when_replaced = lambda: replaced.append(issuer.seconds)
    await keys.named("k1")
    issuer.content = key_set(k1=RSA, k2=NEW)
    issuer.seconds = GAP_SECONDS
    key = await keys.named("k2")
    assert key is not None
    assert key.material == NEW.public_key()
    assert replaced == []
    issuer.content = key_set(k2=NEW)
    issuer.seconds = 2 * GAP_SECONDS
    assert await keys.named("k3") is None
    assert await keys.named("k1") is None
    assert replaced == [issuer.seconds]


async def test_key_that_changes_under_its_id_is_replaced(issuer: Issuer) -> None:
    keys = issuer.keys()
    replaced: list[float] = []
    keys.when_replaced = lambda: replaced.append(issuer.seconds)
    await keys.named("k1")
    issuer.content, issuer.seconds = key_set(k1=NEW), GAP_SECONDS
    await keys.named("k2")
    assert replaced == [issuer.seconds]


async def test_flood_of_made_up_key_ids_fetches_no_more_often(issuer: Issuer) -> None:
    keys = issuer.keys()
    for number in range(500):
        issuer.seconds = number * 0.01
        assert await keys.named(f"made-up-{number}") is None
    assert issuer.fetches == 1
    assert await keys.named("k1") is not None


async def test_last_set_holds_while_it_cannot_be_had(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keys = issuer.keys()
    await keys.named("k1")
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
            await keys.named("secret-id")
        assert caught.value.fields == ((b"Retry-After", b"10"),)
        assert await keys.named("k1") is not None
    assert issuer.fetches == 7
    issuer.status, issuer.content = 200, key_set(k1=RSA)
    issuer.seconds += GAP_SECONDS
    assert await keys.named("secret-id") is None
    assert [record.getMessage() for record in caplog.records] == [
        "identity.jwks_url: keys to verify tokens with: 1",
        "identity.jwks_url: no keys to be had: status 500",
        "identity.jwks_url: keys to verify tokens with: 1",
    ]


async def test_nothing_listens(caplog: pytest.LogCaptureFixture) -> None:
    keys = KeySet("http://127.0.0.1:9/?key=s3cret", lambda: 0.0)
    for key_id in ("k1", None):
        with pytest.raises(KeysUnavailable):
            await keys.named(key_id)
    assert caplog.text.count("no keys to be had: ClientConnectorError") == 1
    assert "s3cret" not in caplog.text


async def test_set_that_does_not_come_is_waited_for_no_longer_than_allowed(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.02)
    issuer.content = None
    keys = issuer.keys()
    waiting = [keys.named(name) for name in ("k1", "k2", None)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [KeysUnavailable] * 3
    assert issuer.fetches == 1
    assert "no keys to be had: no answer in time" in caplog.text


async def test_client_that_leaves_stops_the_fetch_of_no_other(issuer: Issuer) -> None:
    keys = issuer.keys()
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(keys.named("k1"))
        staying = group.create_task(keys.named("k1"))
        await until(lambda: keys._fetch is not None)
        leaving.cancel()
    assert staying.result() is not None
    assert issuer.fetches == 1


async def test_set_is_kept_fresh_until_that_is_cancelled(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GAP_SECONDS", 0.001)
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.001)
    issuer.status = 500
    keys = KeySet(issuer.url, asyncio.get_running_loop().time)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(keys.keep_fresh())
        await until(lambda: issuer.fetches >= 3)
        issuer.status = 200
        await until(lambda: keys.at_hand("k1") is not None)
        before = issuer.fetches
        await until(lambda: issuer.fetches >= before + 3)
        issuer.content = None
        await asyncio.sleep(0.005)
        task.cancel()
    assert len(keys._tasks) == 0


async def test_token_that_names_no_key_is_verified_with_the_only_one(issuer: Issuer) -> None:
    keys = issuer.keys()
    assert await keys.named(None) is not None
    issuer.content, issuer.seconds = key_set(k1=RSA, k2=NEW), GAP_SECONDS
    assert await keys.named("k2") is not None
    assert await keys.named(None) is None
    assert issuer.fetches == 2


def member(**changes: object) -> bytes:
    plain = json.loads(RSAAlgorithm.to_jwk(RSA.public_key()))
    return json.dumps({"keys": [{**plain, "kid": "k1", **changes}]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"keys":{}}',
        b'{"keys":[7,null,[]]}',
        b'{"keys":[{}]}',
        b'{"keys":[{"kty":["RSA"]}]}',
        b'{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"k1"}]}',
        b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"k1"}]}',
        b'{"keys":[{"kty":"RSA","n":7,"e":{},"kid":"k1"}]}',
        b'{"keys":[{"kty":"EC","crv":"P-256","x":"","y":"","kid":"k1"}]}',
        member(use="enc"),
        member(alg="none"),
        member(alg="HS256"),
        member(alg="nonsense"),
        member(alg=["RS256"]),
        member(alg="ES256"),
        json.dumps({"keys": [json.loads(RSAAlgorithm.to_jwk(RSA))]}).encode(),
        key_set(k1=WEAK),
    ],
)
def test_set_without_a_public_key_for_signatures_is_none(content: bytes) -> None:
    with pytest.raises(module._NoKeys):
        keys_in(content)


@given(st.binary() | st.recursive(st.text() | st.integers(), st.lists).map(json.dumps))
def test_no_document_makes_reading_fail(content: bytes | str) -> None:
    text = content if isinstance(content, bytes) else content.encode()
    for document in (text, b'{"keys":[%b]}' % text):
        with pytest.raises(module._NoKeys):
            keys_in(document)


def test_usable_keys_are_taken_from_among_others() -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    members = [
        {"kty": "unknown"},
        {**json.loads(ECAlgorithm.to_jwk(elliptic)), "kid": "e"},
        {**json.loads(RSAAlgorithm.to_jwk(RSA.public_key())), "kid": 7},
    ]
    found = keys_in(json.dumps({"keys": members}).encode())
    assert {name: key.algorithm for name, key in found.items()} == {"e": "ES256", None: "RS256"}


def test_key_of_a_set_verifies_by_its_own_algorithm_only() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    document = {"keys": [{**json.loads(ECAlgorithm.to_jwk(private.public_key())), "kid": "e"}]}
    key = keys_in(json.dumps(document).encode())["e"]
    token = jwt.encode({"org_uuid": "acme"}, private, algorithm="ES256").encode()
    assert verified(token, key) == Claims("acme")
    assert verified(signed(RSA, "RS256", org_uuid="acme"), key) is None


def test_set_is_read_no_further_than_allowed() -> None:
    plain = json.loads(RSAAlgorithm.to_jwk(RSA.public_key()))
    members = [{**plain, "kid": str(number)} for number in range(SET_KEYS + 5)]
    assert len(keys_in(json.dumps({"keys": members}).encode())) == SET_KEYS


async def test_settings_say_what_verifies_tokens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "secret").write_bytes(b"s3cret\n")

    def chosen(mode: str = "verify", **config: str) -> object:
        return keys_of(IdentityConfig(mode=mode, **config), lambda: 0.0)  # type: ignore[arg-type]

    assert chosen("opaque") is None
    assert caplog.text == ""
    assert chosen("opaque", secret="s3cret") is None
    assert caplog.text.count("no token is verified") == 1
    assert isinstance(chosen(jwks_url="http://127.0.0.1:9"), KeySet)
    for config, algorithm, material in (
        ({"secret": "s3cret"}, "HS256", b"s3cret"),
        ({"secret_file": str(tmp_path / "secret")}, "HS256", b"s3cret"),
        ({"public_key_file": str(tmp_path / "key.pem")}, "RS256", RSA.public_key()),
    ):
        keys = chosen(**config)
        assert isinstance(keys, OneKey)
        key = await keys.named("any")
        assert (key.algorithm, key.material) == (algorithm, material)
        await keys.keep_fresh()
    assert caplog.text.count("the secret of identity has less than 32 bytes") == 2
    assert "s3cret" not in caplog.text
    with pytest.raises(UnusableKey):
        chosen(secret_file=str(tmp_path / "missing"))
