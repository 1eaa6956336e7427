"""Which tokens reach the upstream, what the others are answered, and that nothing of them shows."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import signal
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from gateway.config.timing import Timing
from gateway.demo.faults import FaultKind as Fault
from gateway.demo.routes import Operation
from gateway.demo.sessions import SIGNING_KEY
from tests.support.harness import connected, gateway_before, gateway_timed, once, process_before
from tests.support.issuer import Issuer, issuing
from tests.support.replay import until
from tests.support.tokens import (
    RSA,
    UNKNOWN,
    key_set,
    plain,
    rsa_key,
    signed,
    signed_by,
    unsigned,
)
from tests.support.upstream import Peer, upstream_answering, upstream_doing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.demo.orchestrator import Orchestrator
    from gateway.server.server import Server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
UNAUTHORIZED = b'"Unauthorized"'
VERIFY = {"mode": "verify", "secret": SIGNING_KEY}


@pytest.fixture
async def server(orchestrator: Orchestrator) -> AsyncIterator[Server]:
    """A gateway before ``orchestrator``."""
    async with gateway_before(orchestrator.url) as server:
        yield server


def get(target: str, token: bytes | str = b"", *fields: bytes, method: bytes = b"GET") -> bytes:
    """A request with the token as a bearer."""
    token = token.encode() if isinstance(token, str) else token
    lines = [b"%b %b HTTP/1.1" % (method, target.encode()), b"Host: gateway.test", *fields]
    if token:
        lines.append(b"Authorization: Bearer " + token)
    return b"\r\n".join([*lines, b"", b""])


def status(head: bytes) -> int:
    return int(head.split(b" ")[1])


async def statuses(server: Server, *messages: bytes) -> list[int]:
    return [status((await once(server.url, message))[0]) for message in messages]


async def test_unknown_token_reaches_the_upstream_once(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["unknown"]
    job = orchestrator.create("held")
    target = f"/acme/job/{job.id}"
    first, theirs = await once(server.url, get(target, token))
    asked = sum(orchestrator.requests.values())
    second, ours = await once(server.url, get(target, token, b"Origin: https://a.test"))
    others = [
        get(f"{target}?access_token={token}"),
        get(f"/job/{job.id}/result?access_token={token}"),
        get(f"/task/{orchestrator.tasks['held'].id}/job?wait_result=true", token, method=b"POST"),
    ]
    assert await statuses(server, *others) == [401, 401, 401]
    assert sum(orchestrator.requests.values()) == asked == 1
    assert (status(first), status(second)) == (401, 401)
    shapes = [json.loads(content) for content in (theirs, ours)]
    for shape in shapes:
        assert shape.pop("stack").startswith("authentication failed")
    assert shapes[0] == shapes[1]
    assert b"\r\nAccess-Control-Allow-Origin: https://a.test\r\n" in second
    assert await statuses(server, get(target, orchestrator.tokens["acme-user"])) == [200]


@pytest.mark.parametrize("first", ["relay", "create", "result"])
async def test_repeated_401_is_the_orchestrators_own_whole(
    orchestrator: Orchestrator, server: Server, first: str
) -> None:
    job, task = orchestrator.create("held"), orchestrator.tasks["held"]
    origin = b"Origin: https://a.test"
    targets = {
        "relay": get("/acme/job", orchestrator.tokens["unknown"], origin),
        "create": get(
            f"/task/{task.id}/job?wait_result=true",
            orchestrator.tokens["unknown"],
            origin,
            method=b"POST",
        ),
        "result": get(f"/job/{job.id}/result", orchestrator.tokens["unknown"], origin),
    }
    head, content = await once(orchestrator.url, targets["relay"])
    own = re.sub(rb"(?m)^(Date|Connection|Keep-Alive): .*\r\n", b"", head)
    assert b"restify" in own
    await once(server.url, targets[first])
    asked = sum(orchestrator.requests.values())
    for target in targets.values():
        again, repeated = await once(server.url, target)
        assert re.sub(rb"(?m)^Date: .*\r\n", b"", again) == own
        assert repeated == content
    assert sum(orchestrator.requests.values()) == asked
    other = await once(server.url, targets["relay"].replace(b"a.test", b"b.test"))
    assert b"\r\nAccess-Control-Allow-Origin: https://b.test\r\n" in other[0]


async def test_requests_that_need_no_token_pass_with_a_refused_one(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["unknown"]
    task = orchestrator.tasks["instant"]
    await once(server.url, get("/acme/job", token))
    assert await statuses(
        server,
        get("/acme/job", token),
        get("/acme/job", token, method=b"OPTIONS"),
        get("/api/status", token),
        get(f"/task/{task.id}/secret/{task.secret}/job?access_token={token}", method=b"POST"),
        get("/acme/job"),
    ) == [401, 204, 200, 200, 401]


async def test_answers_that_need_no_token_accept_none(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["unknown"]
    for target in ("/api/status", "/%61pi/status", "//api/status", "/nowhere"):
        await once(server.url, get(target, token))
    identities = server._gateway._pipeline._checks._identities
    assert len(identities._known) == 0
    await once(server.url, get("/acme/job", orchestrator.tokens["acme-user"]))
    assert len(identities._known) == 1


async def test_token_is_accepted_once_somebody_is_logged_in_with_it(
    orchestrator: Orchestrator,
) -> None:
    token = orchestrator.tokens["unknown"]
    async with gateway_before(orchestrator.url, identity={"reject_seconds": 0.02}) as server:
        assert await statuses(server, get("/acme/job", token)) == [401]
        session = orchestrator.sessions.named("acme-user")
        orchestrator.sessions.log_in("late", session, token)
        async with asyncio.timeout(5):
            while await statuses(server, get("/acme/job", token)) != [200]:
                pass


async def test_client_whose_session_ends_while_it_waits_is_refused(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["acme-user"]
    job = orchestrator.create("held")
    message = get(f"/job/{job.id}/result?timeout=30", token)
    async with connected(server.url) as client:
        await client.send(message)
        await until(lambda: orchestrator.requests[Operation.READ] > 0)
        orchestrator.sessions.log_out(token)
        head, content = await client.answer()
    assert status(head) == 401
    assert b"authentication failed" in content
    # It was good a moment ago, so that the orchestrator is asked once more.
    asked = sum(orchestrator.requests.values())
    assert await statuses(server, message, message, message) == [401] * 3
    assert sum(orchestrator.requests.values()) == asked + 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (b"POST", "/workflows/64e000000000000000000009/job"),
        (b"DELETE", "/globex/task/64e000000000000000000009/job"),
        (b"POST", "/acme-typo/task/64e000000000000000000009/job?wait_result=true"),
        (b"GET", "/acme-typo/job"),
        (b"GET", "/job/6b058e0ff294df5bf4d94f6f/result?customer=acme-typo"),
    ],
)
async def test_token_is_good_after_a_401_about_something_else(
    orchestrator: Orchestrator, server: Server, method: bytes, path: str
) -> None:
    token = orchestrator.tokens["acme-user"]
    job = orchestrator.create("held")
    async with connected(server.url) as waiting:
        await waiting.send(get(f"/job/{job.id}/result?timeout=30", token))
        await until(lambda: orchestrator.requests[Operation.READ] > 0)
        for asked_for in ("/acme-typo", "/globex", "/workflows"):
            orchestrator.faults.add(Fault.STATUS, asked_for, status=401, times=None)
        for _ in range(3):
            head, content = await once(server.url, get(path, token, method=method))
            assert (status(head), content) == (401, b'"a fault that was asked for"')
        asked = sum(orchestrator.requests.values())
        assert await statuses(server, get("/acme/job", token)) == [200]
        assert sum(orchestrator.requests.values()) > asked
        orchestrator.finish(job.id)
        assert status((await waiting.answer())[0]) == 200


@pytest.mark.parametrize(
    "framed",
    [
        b"Content-Length: %d\r\n\r\n%b" % (len(UNKNOWN), UNKNOWN),
        b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % each for each in UNKNOWN)
        + b"0\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
async def test_look_up_that_failed_is_found_however_it_is_framed(framed: bytes) -> None:
    response = b"HTTP/1.1 401 Unauthorized\r\nServer: restify\r\n" + framed
    async with upstream_answering(response) as upstream, gateway_before(upstream.url) as server:
        head, content = await once(server.url, get("/acme/job", b"any"))
        assert (status(head), content) == (401, UNKNOWN)
        assert await statuses(server, get("/acme/job", b"any")) == [401]
    assert len(upstream.heads) == 1


@pytest.mark.parametrize(
    "framed",
    [
        b"Content-Length: %d\r\nContent-Encoding: gzip\r\n\r\n%b"
        % (len(gzip.compress(UNKNOWN, mtime=0)), gzip.compress(UNKNOWN, mtime=0)),
        b"Content-Length: 300000\r\n\r\n" + UNKNOWN.ljust(300_000),
        b"Content-Length: 0\r\n\r\n",
    ],
    ids=["gzip", "large", "empty"],
)
async def test_401_that_cannot_be_read_in_passing_passes_and_counts_for_nothing(
    framed: bytes,
) -> None:
    response = b"HTTP/1.1 401 Unauthorized\r\n" + framed
    async with upstream_answering(response) as upstream, gateway_before(upstream.url) as server:
        for _ in range(3):
            head, content = await once(server.url, get("/acme/job", b"any"))
            assert head + content == response
    assert len(upstream.heads) == 3


async def test_401_to_a_request_without_a_token_counts_against_nobody(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["unknown"]
    content = b'{"access_token":"%b"}' % token.encode()
    in_content = (b"Content-Type: application/json", b"Content-Length: %d" % len(content))
    message = get("/acme/job", b"", *in_content, method=b"POST") + content
    orchestrator.faults.add(Fault.LOOKUP, "/", status=401, times=None)
    assert await statuses(server, *[message] * 3, *[get("/acme/job")] * 3) == [401] * 6
    assert sum(orchestrator.requests.values()) == 6


async def test_tokens_in_two_places_are_the_upstreams_to_refuse(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["acme-user"]
    both = f"/acme/job?access_token={token}"
    head, content = await once(server.url, get(both, token))
    direct, theirs = await once(orchestrator.url, get(both, token))
    assert (status(head), content) == (status(direct), theirs) == (401, UNAUTHORIZED)
    assert await statuses(server, get("/acme/job", token)) == [200]


async def test_websocket_is_refused_with_a_refused_token(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["unknown"]
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket")
    await once(server.url, get("/acme/job", token))
    asked = sum(orchestrator.requests.values())
    assert await statuses(server, get("/socket", token, *upgrade)) == [401]
    assert sum(orchestrator.requests.values()) == asked


async def test_refused_websocket_refuses_its_token() -> None:
    refused = b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%b" % (len(UNKNOWN), UNKNOWN)
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket")
    async with upstream_answering(refused) as upstream, gateway_before(upstream.url) as server:
        message = get("/socket", b"unknown", *upgrade)
        assert await statuses(server, message, message, get("/", b"unknown")) == [401] * 3
    assert len(upstream.heads) == 1


async def test_flood_of_made_up_tokens_leaves_the_real_one_accepted(
    orchestrator: Orchestrator, server: Server
) -> None:
    token = orchestrator.tokens["acme-user"]
    identities = server._gateway._pipeline._checks._identities
    async with connected(server.url) as client:
        await client.send(get("/acme/job", token))
        await client.answer()
        for number in range(300):
            await client.send(get("/acme/job", f"made-up-{number}"))
            await client.answer()
        asked = sum(orchestrator.requests.values())
        for number in range(300):
            await client.send(get("/acme/job", f"made-up-{number}"))
            head, _ = await client.answer()
            assert status(head) == 401
    assert sum(orchestrator.requests.values()) == asked == 301
    assert len(identities._known) == 1


HOSTILE = [
    b"x" * 60_000,
    signed(org_uuid="acme", pad="x" * 45_000),
    unsigned(b'{"org_uuid":"acme"}'),
    unsigned(b'{"org_uuid":"acme"}', b'{"alg":"nOnE"}'),
    unsigned(b'{"org_uuid":"acme"}', b"[" * 20_000),
    unsigned(b'{"org_uuid":"acme"}', b'{"alg":"HS256","a":' + b'{"a":' * 3000),
    unsigned(b"[" * 20_000, b'{"alg":"HS256"}'),
    unsigned(b'{"org_uuid":"acme"}', b'{"alg":"HS256","kid":{"a":1}}'),
    signed(RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1).hex(), org_uuid="acme"),
    b"a.b.c",
    b"\xff\xfe.\xff.\xff",
]


@pytest.mark.parametrize("token", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_token_is_passed_where_opaque_and_refused_where_verified(
    token: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with upstream_answering(OK) as upstream:
        async with gateway_before(upstream.url) as server:
            head, _ = await once(server.url, get("/acme/job", token))
            assert status(head) == 200
            assert b"Bearer " + token in upstream.heads[0]
        async with gateway_before(upstream.url, identity=VERIFY) as server:
            head, content = await once(server.url, get("/acme/job", token))
            assert (status(head), content) == (401, UNAUTHORIZED)
            assert await statuses(server, get("/acme/job")) == [200]
        assert len(upstream.heads) == 2
    assert token[:200].decode("latin-1") not in caplog.text


@pytest.mark.parametrize("escaped", ["a%00b", "a%0D%0AX:%20b", "%1b%5B31m", "%C3%B1", "a%20b"])
async def test_token_with_control_characters_gets_a_clear_answer(
    orchestrator: Orchestrator, server: Server, escaped: str
) -> None:
    target = f"/acme/job?access_token={escaped}"
    head, content = await once(server.url, get(target))
    _, direct = await once(orchestrator.url, get(target))
    assert status(head) in {400, 401, 500}
    assert content == direct
    async with gateway_before(orchestrator.url, identity=VERIFY) as verifying:
        head, content = await once(verifying.url, get(target))
        assert (status(head), content) == (401, UNAUTHORIZED)


async def test_only_genuine_tokens_reach_the_upstream_where_they_are_verified(
    orchestrator: Orchestrator,
) -> None:
    async with gateway_before(orchestrator.url, identity=VERIFY) as server:
        job = orchestrator.create("held")
        forged = signed("another secret of more than thirty-two bytes", "HS256", org_uuid="acme")
        task = orchestrator.tasks["instant"]
        refused = [
            get("/acme/job", forged),
            get(f"/acme/job?access_token={forged.decode()}"),
            get(f"/job/{job.id}/result", forged),
            get(f"/task/{task.id}/job?wait_result=true", forged, method=b"POST"),
        ]
        assert await statuses(server, *refused) == [401] * 4
        assert not orchestrator.requests
        assert await statuses(
            server,
            get("/acme/job", orchestrator.tokens["acme-user"]),
            get("/acme/job", orchestrator.tokens["acme-integration"]),
            get("/acme/job", orchestrator.tokens["unknown"]),
            get(f"/task/{task.id}/secret/{task.secret}/job", forged, method=b"POST"),
            get("/api/status", forged),
        ) == [200, 200, 401, 200, 200]


async def test_expired_token_is_refused_where_that_is_verified(
    orchestrator: Orchestrator,
) -> None:
    messages = [
        get("/acme/job", orchestrator.tokens[name])
        for name in ("acme-user", "acme-expired", "acme-viewer")
    ]
    async with gateway_before(orchestrator.url, identity=VERIFY) as lenient:
        assert await statuses(lenient, *messages) == [200, 200, 200]
    strict = {**VERIFY, "verify_expiry": True}
    async with gateway_before(orchestrator.url, identity=strict) as server:
        assert await statuses(server, *messages) == [200, 401, 200]


async def test_public_key_verifies_and_is_no_secret(tmp_path: Path) -> None:
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    identity = {"mode": "verify", "public_key_file": str(tmp_path / "key.pem")}
    async with (
        upstream_answering(OK) as upstream,
        gateway_before(upstream.url, identity=identity) as server,
    ):
        assert await statuses(
            server,
            get("/", signed_by(None, RSA, org_uuid="acme")),
            get("/", signed_by(None, rsa_key("another"), org_uuid="acme")),
            get("/", signed(pem.hex(), "HS256", org_uuid="acme")),
        ) == [200, 401, 401]


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


async def test_keys_are_fetched_and_follow_a_rotation(issuer: Issuer) -> None:
    often = Timing(key_gap_seconds=0.0)
    new = rsa_key("new")
    old_token, new_token = signed_by("k1", RSA), signed_by("k2", new)
    async with (
        upstream_answering(OK) as upstream,
        gateway_timed(
            often, upstream.url, identity={"mode": "verify", "jwks_url": issuer.url}
        ) as server,
    ):
        assert await statuses(server, get("/", old_token), get("/", new_token)) == [200, 401]
        issuer.content = key_set(k1=RSA, k2=new)
        assert await statuses(server, get("/", old_token), get("/", new_token)) == [200, 200]
        issuer.content = key_set(k2=new)
        assert await statuses(server, get("/", signed_by("k3", RSA))) == [401]
        assert await statuses(server, get("/", old_token), get("/", new_token)) == [401, 200]


async def test_keys_without_an_id_or_with_the_same_are_all_kept(issuer: Issuer) -> None:
    first, second, other = RSA, rsa_key("second"), rsa_key("other")
    elliptic = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(ECAlgorithm.to_jwk(elliptic.public_key()))
    members = [plain(first), plain(second), plain(other, kid="k1"), {**public, "kid": "k1"}]
    issuer.content = json.dumps({"keys": members}).encode()
    by_curve = jwt.encode({}, elliptic, algorithm="ES256", headers={"kid": "k1"}).encode()
    async with (
        upstream_answering(OK) as upstream,
        gateway_before(upstream.url, identity={"mode": "verify", "jwks_url": issuer.url}) as server,
    ):
        assert (
            await statuses(
                server,
                get("/", signed_by(None, first)),
                get("/", signed_by(None, second)),
                get("/", signed_by("not in the set", second)),
                get("/", signed_by("k1", other)),
                get("/", by_curve),
                get("/", signed_by("k1", first)),
                get("/", signed_by("not in the set", other)),
                get("/", signed_by(None, rsa_key("nobody's"))),
            )
            == [200] * 5 + [401] * 3
        )


async def test_renewed_key_file_is_taken_up_on_sighup_and_an_unusable_one_is_not(
    tmp_path: Path,
) -> None:
    file = tmp_path / "secret"
    old, new = "old secret" * 5, "new secret" * 5
    file.write_text(old)
    messages = [get("/acme/job", signed(secret, org_uuid="acme")) for secret in (old, new)]

    async def answers(url: str) -> list[int]:
        return [status((await once(url, message))[0]) for message in messages]

    async with (
        upstream_answering(OK) as upstream,
        process_before(
            upstream.url, identity__mode="verify", identity__secret_file=str(file)
        ) as gateway,
    ):
        assert await answers(gateway.url) == [200, 401]
        file.write_text("")
        gateway.signal(signal.SIGHUP)
        line = await gateway.until_told("all stays as it was")
        assert line.endswith(f'identity.secret_file "{file}": there is no secret in it\n')
        assert await answers(gateway.url) == [200, 401]
        file.write_text(new)
        gateway.signal(signal.SIGHUP)
        await gateway.until_told("read again: identity.secret_file")
        assert await answers(gateway.url) == [401, 200]
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert "Traceback" not in gateway.told
    assert not any(secret in gateway.told for secret in (old, new))


async def test_flood_of_key_ids_fetches_once(issuer: Issuer) -> None:
    async with (
        upstream_answering(OK) as upstream,
        gateway_before(upstream.url, identity={"mode": "verify", "jwks_url": issuer.url}) as server,
    ):
        messages = [get("/", signed_by(f"made-up-{number}", RSA)) for number in range(100)]
        assert await statuses(server, *messages, get("/", signed_by("k1", RSA))) == [
            *[401] * 100,
            200,
        ]
    assert issuer.fetches == 1
    assert len(upstream.heads) == 1


@pytest.mark.parametrize(("content", "response"), [(b"garbage", 200), (b"{}", 200), (b"", 503)])
async def test_no_token_passes_while_no_keys_can_be_had(
    issuer: Issuer, content: bytes, response: int, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.content, issuer.status = content, response
    token = signed_by("k1", RSA, org_uuid="acme")
    async with (
        upstream_answering(OK) as upstream,
        gateway_before(upstream.url, identity={"mode": "verify", "jwks_url": issuer.url}) as server,
    ):
        head, shown = await once(server.url, get("/acme/job", token))
        assert (status(head), json.loads(shown)["code"]) == (503, "KeysUnavailable")
        assert json.loads(shown)["message"] == "No keys to verify tokens with can be had now"
        assert b"\r\nRetry-After: 10\r\n" in head
        assert await statuses(server, get("/acme/job"), get("/api", token)) == [200, 200]
    assert len(upstream.heads) == 2
    assert token.decode() not in caplog.text


async def test_slow_key_set_holds_up_nobody_else(issuer: Issuer) -> None:
    issuer.content = None
    async with (
        upstream_answering(OK) as upstream,
        gateway_before(upstream.url, identity={"mode": "verify", "jwks_url": issuer.url}) as server,
        connected(server.url) as client,
    ):
        await client.send(get("/", signed_by("k1", RSA)))
        await until(lambda: issuer.fetches > 0)
        assert await statuses(server, get("/"), get("/api", b"any")) == [200, 200]
        assert len(upstream.heads) == 2


@pytest.mark.parametrize("mode", ["opaque", "verify"])
async def test_nothing_of_a_token_or_key_is_logged(mode: str, tmp_path: Path) -> None:
    secret = "s3cr3t-key-of-more-than-thirty-two-bytes"
    (tmp_path / "secret").write_text(secret)
    tokens = [
        signed(secret, "HS256", org_uuid="acme-organization", user_id="ada-lovelace"),
        *[token for token in HOSTILE if b"\xff" not in token],
    ]

    async def refuse_every_other(peer: Peer) -> None:
        while head := await peer.request():
            refused = b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%b" % (len(UNKNOWN), UNKNOWN)
            await peer.answer(refused if b"/refused" in head else OK)

    async with (
        upstream_doing(refuse_every_other) as upstream,
        process_before(
            upstream.url,
            log__level="debug",
            limits__mode="report",
            identity__mode=mode,
            identity__secret_file=str(tmp_path / "secret"),
        ) as gateway,
    ):
        for token in tokens:
            for target in ("/acme/job", "/refused", "/refused", "/acme/job"):
                await once(gateway.url, get(target, token))
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    lines = [json.loads(line) for line in gateway.logged.splitlines()]
    assert len(lines) == 4 * len(tokens)
    forged = 0 if mode == "opaque" else len(tokens) - 1
    assert [line["kind"] for line in lines].count("refused") == len(tokens) + 3 * forged
    written = gateway.logged + gateway.told
    for token in tokens:
        parts = [part for part in token.decode().split(".") if len(part) > 8]
        assert not any(part[:40] in written for part in parts)
    for told in (secret, "ada-lovelace"):
        assert told not in written
    # Whom a token names is told only where that is proved; not where memory refuses it.
    named = [line["organization"] for line in lines if line["organization"]]
    assert named == ([] if mode == "opaque" else ["acme-organization"] * 3)
    assert len({line["token_hash"] for line in lines}) == len(tokens)
