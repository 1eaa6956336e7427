"""A page of another origin waits for a job's result in a real browser."""

from __future__ import annotations

import asyncio
import re
import subprocess
from html import unescape
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from tests.support.browser import HEADLESS
from tests.support.harness import gateway_before, program

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.demo.orchestrator import Orchestrator

FLAGS = (*HEADLESS, "--virtual-time-budget=20000", "--dump-dom")
PAGE = """<!doctype html>
<pre id="shown">nothing came</pre>
<script>
const shown = text => document.getElementById("shown").textContent = text
fetch("TARGET", {method: "POST", credentials: "include", headers: HEADERS, body: '["a"]'})
  .then(async answer => shown(answer.status + " " + answer.redirected + " " + await answer.text()))
  .catch(failure => shown("failed: " + failure))
</script>
"""
MANY = """<!doctype html>
<pre id="shown">nothing came</pre>
<script>
const call = number => fetch("TARGET", {method: "POST", headers: HEADERS, body: `["${number}"]`})
  .then(async answer => answer.status + " " + await answer.text() + LEARNED)
  .catch(failure => "failed: " + failure)
Promise.all([...Array(CALLS).keys()].map(call)).then(all =>
  document.getElementById("shown").textContent = all.join("\\n"))
</script>
"""
CALLS = 30
KEPT = "instant"
"""Of its jobs more than five survive, so that none is removed before its result is read."""
JSON = "application/json"


@pytest.fixture
def chromium() -> str:
    return program("chromium")


async def dumped(chromium: str, url: str, profile: Path) -> str:
    """The page's document once its scripts have run."""
    process = await asyncio.create_subprocess_exec(
        *(chromium, *FLAGS, f"--user-data-dir={profile}", url),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return unescape(printed.decode())


async def shown_by(page: str, chromium: str, profile: Path) -> str:
    """What a page of another origin shows at its end."""

    async def serve(_: web.BaseRequest) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async with RawTestServer(serve) as site:
        document = await dumped(chromium, str(site.make_url("/")), profile)
    found = re.search('<pre id="shown">(.*?)</pre>', document, re.DOTALL)
    assert found, document
    return found[1]


@pytest.mark.parametrize("with_field", [False, True])
async def test_page_of_another_origin_gets_the_result(
    orchestrator: Orchestrator, chromium: str, tmp_path: Path, with_field: bool
) -> None:
    async with gateway_before(orchestrator.url) as server:
        token = orchestrator.tokens["acme-user"]
        target = f"{server.url}/task/{orchestrator.tasks['hello'].id}/job?wait_result=true&parse"
        headers = "{'Content-Type': 'application/json'}"
        if with_field:
            headers = f"{{'Authorization': 'Bearer {token}', 'Content-Type': 'application/json'}}"
        else:
            target += f"&access_token={token}"
        page = PAGE.replace("TARGET", target).replace("HEADERS", headers)

        document = await shown_by(page, chromium, tmp_path)
    assert document == '200 true {"message":"Hello world!"}'


async def test_thirty_calls_at_once_follow_their_redirects_with_the_token_in_the_query(
    orchestrator: Orchestrator, chromium: str, tmp_path: Path
) -> None:
    async with gateway_before(orchestrator.url) as server:
        target = (
            f"{server.url}/task/{orchestrator.tasks[KEPT].id}/job?wait_result=true&parse"
            f"&access_token={orchestrator.tokens['acme-user']}"
        )
        page = MANY.replace("TARGET", target).replace("CALLS", str(CALLS)).replace("LEARNED", '""')
        page = page.replace("HEADERS", "{'Content-Type': 'application/json'}")
        shown = await shown_by(page, chromium, tmp_path)
    assert shown.splitlines() == ['200 {"message":"Hello world!"}'] * CALLS


async def test_thirty_calls_at_once_get_their_results_by_prefer_with_the_token_in_a_field(
    orchestrator: Orchestrator, chromium: str, tmp_path: Path
) -> None:
    """By redirects six of them would wait for each other for ever."""
    async with gateway_before(orchestrator.url) as server:
        target = f"{server.url}/task/{orchestrator.tasks[KEPT].id}/job?parse"
        token = orchestrator.tokens["acme-user"]
        sent = f"Authorization: 'Bearer {token}', Prefer: 'wait=20', 'Content-Type': '{JSON}'"
        page = MANY.replace("TARGET", target).replace("CALLS", str(CALLS))
        page = page.replace("LEARNED", "' ' + answer.headers.get('Preference-Applied')")
        shown = await shown_by(page.replace("HEADERS", f"{{{sent}}}"), chromium, tmp_path)
    assert shown.splitlines() == ['200 {"message":"Hello world!"} wait=20'] * CALLS
