"""No token or secret is logged, wherever in a request it stood and whatever became of it."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from gateway.demo.faults import FaultKind as Fault
from gateway.demo.sessions import SIGNING_KEY
from tests.support.harness import connected, once, process_before

if TYPE_CHECKING:
    from gateway.demo.orchestrator import Orchestrator

PASSWORD = "s3cr3t-pa55word"
CONTENT = '{"access_token":"TOKEN","wait_result":true}'


def request(line: str, *fields: str, content: str = "") -> str:
    lines = [f"{line} HTTP/1.1", "Host: gateway.test", *fields]
    if content:
        lines += ["Content-Type: application/json", "Content-Length: LENGTH"]
    return "\r\n".join([*lines, "", content])


REQUESTS = (
    request("GET /acme/job?access_token=TOKEN"),
    request("GET /acme/job?access%5Ftoken=TOKEN"),
    request("GET /acme/job?%61ccess_token=ESCAPED&a=b"),
    request("GET /api?next=%2Fx%3Faccess_token%3DTOKEN"),
    request("GET /api/TOKEN/x?y=TOKEN"),
    request("GET /api", "Authorization: Bearer TOKEN", "Cookie: session=TOKEN", "X: TOKEN"),
    request("GET /api", "X-Request-Id: TOKEN"),
    request("POST /task/TASK/secret/SECRET/job?wait_result=true", content="[]"),
    request("POST /task/TASK/%73ecret/SECRET/job", content="[]"),
    request("POST /job/secret/SECRET", content='{"task":"TASK"}'),
    request("POST /task/TASK/job", content=CONTENT),
    request("POST /task/TASK/job?wait_result=true&access_token=TOKEN", content="["),
    request("POST /task/TASK/job?wait_result=true&timeout=x&access_token=TOKEN", content="[]"),
    request("POST /task/TASK/job?wait_result=true&parse&access_token=TOKEN", content="[]"),
    request("GET /job/TOKEN/result?access_token=TOKEN"),
    request("GET /job/JOB/result?access_token=TOKEN"),
    request("GET /job/JOB/secret/SECRET/result"),
    request("GET http://user:PASSWORD@other.test/?access_token=TOKEN"),
    request("GET http://user:PASSWORD@gateway.test/?access_token=TOKEN"),
    request("GET /api?password=PASSWORD#access_token=TOKEN"),
    request("GET access_token=TOKEN"),
    request("TOKEN /api"),
    request("GET /?access_token=TOKEN\x01"),
    request("GET /?access_token=TOKEN", "X : TOKEN"),
    request(f"GET /?access_token=TOKEN{'x' * 20_000}"),
    request("GET /?access_token=TOKEN", f"X: TOKEN{'x' * 70_000}"),
    request("GET /stalled?access_token=TOKEN", "Authorization: Bearer TOKEN"),
    request("GET /closed?access_token=TOKEN", "Authorization: Bearer TOKEN"),
    request("GET /garbage?access_token=TOKEN", "Authorization: Bearer TOKEN"),
)
"""What a client may send; all are answered."""
CUT = request("GET /cut?access_token=TOKEN", "Authorization: Bearer TOKEN")


@pytest.mark.parametrize(
    ("form", "identity"),
    [
        ("json", {}),
        ("text", {"identity__mode": "verify", "identity__secret": SIGNING_KEY}),
    ],
    ids=["json", "text"],
)
async def test_no_token_or_secret_is_logged(
    orchestrator: Orchestrator, form: str, identity: dict[str, str]
) -> None:
    token = orchestrator.tokens["acme-user"]
    task = orchestrator.tasks["instant"]
    told = {
        "TOKEN": token,
        "ESCAPED": "".join(f"%{ord(letter):02x}" for letter in token),
        "SECRET": task.secret,
        "PASSWORD": PASSWORD,
        "TASK": task.id,
        "JOB": orchestrator.create("instant").id,
    }
    for kind in (Fault.STALL, Fault.CLOSE, Fault.GARBAGE, Fault.CUT):
        path = {Fault.STALL: "/stalled", Fault.CLOSE: "/closed"}.get(kind, f"/{kind}")
        orchestrator.faults.add(kind, path, times=None)

    def filled(template: str) -> bytes:
        for name, value in told.items():
            template = template.replace(name, value)
        head, _, content = template.partition("\r\n\r\n")
        return f"{head.replace('LENGTH', str(len(content)))}\r\n\r\n{content}".encode()

    async with process_before(
        orchestrator.url,
        log__format=form,
        log__level="debug",
        listen__trusted_proxies="127.0.0.1",
        upstream__response_seconds="0.5",
        **identity,
    ) as gateway:
        heads = await asyncio.gather(
            *(once(gateway.url, filled(template)) for template in REQUESTS)
        )
        async with connected(gateway.url) as client:
            await client.send(filled(CUT))
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.answer()
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert all(head.startswith(b"HTTP/1.1 ") for head, _ in heads)
    assert len(gateway.logged.splitlines()) == len(REQUESTS) + 1
    written = gateway.logged + gateway.told
    for secret in (token, task.secret, PASSWORD, SIGNING_KEY):
        header, _, signature = secret.rpartition(".")
        for part in (secret, header, signature, quote(secret, safe=""), told["ESCAPED"]):
            assert not part or part not in written
