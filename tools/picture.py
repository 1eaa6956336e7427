"""Make docs/operators-page.png: ``make picture``. The page before two workers, with clients that
wait for jobs of the embedded orchestrator, in a headless Chromium.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from random import Random
from shutil import which
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gateway.demo.orchestrator import Orchestrator
from tests.support.browser import browsing
from tests.support.harness import process_before
from tests.support.load import loading

if TYPE_CHECKING:
    from tests.support.browser import Tab

PICTURE = Path(__file__).parent.parent / "docs" / "operators-page.png"
SIZE = (1080, 880)
MOST_BYTES = 150_000
JOBS = 500
SECONDS = 90
"""How long the charts are."""
SETTLED = "document.querySelectorAll('#failures tbody tr').length > 5"


async def main() -> int:
    chromium = which("chromium")
    if chromium is None:
        sys.stderr.write("chromium is needed (Debian: apt-get install chromium)\n")
        return 1
    with TemporaryDirectory() as profile:
        picture = await taken(chromium, Path(profile))
    PICTURE.write_bytes(picture)
    print(f"{PICTURE.name}: {len(picture)} bytes")
    if len(picture) > MOST_BYTES:
        sys.stderr.write(f"that is more than {MOST_BYTES}\n")
        return 1
    return 0


async def taken(chromium: str, profile: Path) -> bytes:
    """The picture, as PNG."""
    async with Orchestrator.serving(service_seconds=0.004) as orchestrator:
        jobs = [orchestrator.create("held").id for _ in range(JOBS)]
        async with (
            process_before(orchestrator.url, "--workers", "2", limits__mode="report") as gateway,
            browsing(chromium, profile) as tab,
            loading(
                url=gateway.url,
                token=orchestrator.tokens["acme-user"],
                jobs=jobs,
                every=0.04,
                agents=["python-requests/2.32.4", "curl/8.14.1", "okhttp/4.12.0"],
            ),
            asyncio.TaskGroup() as group,
        ):
            await tab.width(*SIZE)
            await tab.prefer("light")
            await tab.go(f"{gateway.admin_url}/")
            ending = group.create_task(end_some(orchestrator, jobs))
            await asyncio.sleep(SECONDS)
            picture = await shown(tab)
            ending.cancel()
            return picture


async def end_some(orchestrator: Orchestrator, jobs: list[str]) -> None:
    """Let jobs end now and then, a few at a time."""
    chance = Random(15)  # noqa: S311 - no secret
    left = jobs[: -len(jobs) // 4]
    while left:
        await asyncio.sleep(chance.uniform(0.05, 1.0))
        for _ in range(min(len(left), chance.randrange(1, 5))):
            orchestrator.finish(left.pop(chance.randrange(len(left))), output=["done"])


async def shown(tab: Tab) -> bytes:
    await tab.until(SETTLED)
    return await tab.picture()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
