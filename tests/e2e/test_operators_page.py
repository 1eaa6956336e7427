"""The operators' page in a real browser, before two workers under load."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import browsing
from tests.support.harness import once, process_before, program
from tests.support.load import loading
from tests.support.operators import TOKEN
from tests.support.tokens import SECRET, signed

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.demo.orchestrator import Orchestrator

HOSTILE = "<img src=x onerror=document.title='hacked'>"
WAITS = 300
PHONE, DESK = 360, 1280
CELLS = (
    "[...document.querySelectorAll('#{} tbody tr')]"
    ".map(row => [...row.cells].map(cell => cell.textContent))"
)
CONTRASTS = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = color => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = color => {
    const [r, g, b] = rgb(color).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (rgb(color)[3] === 255) return color;
    }
    return "white";
  };
  const found = {};
  for (const element of document.querySelectorAll("body *")) {
    const isText = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!isText || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const color = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(color), light(ground(element))].sort((x, y) => y - x);
    found[`${element.tagName} ${element.id} ${color}`] = (a + 0.05) / (b + 0.05);
  }
  return found;
})()
"""
"""The contrast of each text to its ground (WCAG 2.2, 1.4.3)."""


@pytest.fixture
def chromium() -> str:
    return program("chromium")


async def test_page_shows_two_workers_under_load(
    orchestrator: Orchestrator, chromium: str, tmp_path: Path
) -> None:
    jobs = [orchestrator.create("held").id for _ in range(WAITS)]
    token = orchestrator.tokens["acme-user"]
    async with (
        process_before(
            orchestrator.url,
            *("--workers", "2"),
            coverage="on",
            log__access="false",
            limits__mode="report",
        ) as gateway,
        browsing(chromium, tmp_path) as tab,
        loading(url=gateway.url, token=token, jobs=jobs, every=0.05, agents=["curl/8", HOSTILE]),
    ):
        await tab.width(DESK)
        await tab.prefer("light")
        await tab.go(f"{gateway.admin_url}/")

        # Waits: their number is exact, rows are of some, and they go.
        waiting = "document.querySelector('#tile-clients-waiting')?.textContent"
        await tab.until(f"{waiting} === '{WAITS}'")
        caption = await tab.value("document.querySelector('#waits caption').textContent")
        assert caption.startswith(f"100 of {WAITS} clients wait")
        rows = await tab.value(CELLS.format("waits"))
        assert len(rows) == 100
        assert {row[1] for row in rows} <= set(jobs)
        assert {len(row[4]) for row in rows} == {32}
        assert {row[3] for row in rows} == {orchestrator.tasks["held"].id}
        for job in jobs[:250]:
            orchestrator.finish(job, output=["1"])
        await tab.until(f"{waiting} === '50'")
        rows = await tab.value(CELLS.format("waits"))
        assert {row[1] for row in rows} == set(jobs[250:])

        # Charts and tables.
        await tab.until("document.querySelectorAll('#charts path.series').length >= 8")
        legends = await tab.value(
            "[...document.querySelectorAll('#charts svg[role=img]')].map(s => s.ariaLabel)"
        )
        assert len(legends) == 6
        assert re.search(r"relay \d", legends[0])
        # In the last two seconds there need not have been a result.
        assert "poll: half within " in legends[2]
        notices = (
            "document.querySelectorAll('#charts figure:nth-child(3) svg[role=img] path').length"
        )
        assert await tab.value(notices) == 2
        callers = await tab.value(CELLS.format("callers"))
        assert {row[0] for row in callers} >= {rows[0][4]}
        failures = await tab.value(CELLS.format("failures"))
        assert {row[2] for row in failures} >= {"InvalidJobId"}
        assert HOSTILE in {row[-1] for row in failures}
        assert await tab.value(
            "[...document.querySelectorAll('#tile-processes')].map(e => e.textContent)"
        ) == ["2 of 2"]
        (task,) = await tab.value(CELLS.format("tasks"))
        assert task[:2] == ["acme", orchestrator.tasks["held"].id]

        # What clients have written is text.
        assert await tab.value("document.images.length") == 0
        assert await tab.value("document.title") == "TheEye sync gateway"

        # A phone, and the dark.
        for scheme in ("light", "dark"):
            await tab.prefer(scheme)
            for pixels in (PHONE, DESK):
                await tab.width(pixels, is_phone=pixels == PHONE)
                assert await tab.value("document.documentElement.scrollWidth") <= pixels
            contrasts = await tab.value(CONTRASTS)
            assert min(contrasts.values()) >= 4.5, contrasts

        # Nothing from elsewhere, and nothing that the browser has to complain of.
        assert {url.partition("/")[0] for url in tab.asked} == {"http:"}
        assert {"/".join(url.split("/")[:3]) for url in tab.asked} == {gateway.admin_url}
        assert tab.complaints == []

        listed = await once(
            gateway.admin_url, b"GET /waits HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
        )
        assert b'{"count":50,"truncated":false,' in listed[1]


async def test_page_says_that_the_gateway_drains_and_that_it_is_gone(
    orchestrator: Orchestrator, chromium: str, tmp_path: Path
) -> None:
    async with (
        process_before(orchestrator.url, "--workers", "2", listen__drain_seconds="5") as gateway,
        browsing(chromium, tmp_path) as tab,
    ):
        state = "document.querySelector('#state')?.dataset.state"
        await tab.go(f"{gateway.admin_url}/")
        await tab.until(f"{state} === 'live'")
        gateway.signal(15)
        await tab.until(f"{state} === 'draining'")
        assert await gateway.ended() == 0
        await tab.until("document.querySelector('#state').textContent.includes('last heard of')")


async def test_page_comes_after_the_token_was_given_and_not_before(
    orchestrator: Orchestrator, chromium: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    async with (
        process_before(orchestrator.url, admin__token_file=str(token)) as gateway,
        browsing(chromium, tmp_path / "profile") as tab,
    ):
        await tab.go(f"{gateway.admin_url}/")
        await tab.until("document.querySelector('#token') !== null")
        assert await tab.value("document.querySelector('#state')") is None
        await tab.value(f"document.querySelector('#token').value = '{TOKEN}'")
        await tab.value("document.querySelector('button').click()")
        await tab.until("document.querySelector('#state')?.dataset.state === 'live'")
        # The session ends, and the stream with the gateway's answer to the next one.
        await tab.value("fetch('logout', {method: 'POST'}).then(() => undefined)")
        await tab.value("document.querySelector('#pause').click()")
        await tab.value("document.querySelector('#pause').click()")
        await tab.until("document.querySelector('#state').dataset.state === 'token'")
        assert not await tab.value("document.querySelector('#login').hidden")


async def test_organization_of_a_verified_token_is_shown_as_text(
    orchestrator: Orchestrator, chromium: str, tmp_path: Path
) -> None:
    """With ``identity.mode`` "verify" its name is what the token says."""
    token = signed(SECRET, org_uuid=HOSTILE, username="u")
    async with (
        process_before(
            orchestrator.url, identity__mode="verify", identity__secret=SECRET
        ) as gateway,
        browsing(chromium, tmp_path) as tab,
    ):
        await once(
            gateway.url,
            b"GET /job/none/result HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            + token
            + b"\r\n\r\n",
        )
        await tab.go(f"{gateway.admin_url}/")
        await tab.until("document.querySelectorAll('#callers tbody tr').length === 1")
        ((_, organization, requests, _),) = await tab.value(CELLS.format("callers"))
        assert requests == "1"
        assert organization.startswith("<img")
        assert await tab.value("document.images.length") == 0
        assert tab.complaints == []
