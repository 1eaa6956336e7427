"""A headless Chromium that is driven by its DevTools protocol: what a page shows, asks and says."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession

from tests.support.harness import PATIENCE_SECONDS
from tests.support.replay import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientWebSocketResponse

HEADLESS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FLAGS = (
    *HEADLESS,
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)
FRAME_BYTES = 64 * 1024 * 1024


@dataclass
class Tab:
    """A page. ``asked`` has the URLs of all requests, ``complaints`` what the browser has said."""

    socket: ClientWebSocketResponse
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)
    _open: dict[int, asyncio.Future[Any]] = field(default_factory=dict)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        response = self._open[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE_SECONDS):
            found: dict[str, Any] = await response
        return found

    async def listen(self) -> None:
        """Take what the browser says until it ends."""
        async for message in self.socket:
            told = message.json()
            if "id" in told:
                waiting = self._open.pop(told["id"])
                if "error" in told:
                    waiting.set_exception(RuntimeError(str(told["error"])))
                elif not waiting.done():
                    waiting.set_result(told["result"])
            else:
                self._note(told["method"], told["params"])

    def _note(self, method: str, about: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.asked.append(about["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(about["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and about["type"] in {"error", "warning"}:
            self.complaints.append(str(about["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(about["entry"]["text"])
        elif method == "Audits.issueAdded":
            self.complaints.append(str(about["issue"]))

    async def go(self, url: str) -> None:
        for domain in ("Page", "Network", "Runtime", "Log", "Audits"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression is, as JSON has it."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true.

        Raises:
            TimeoutError: it does not become so; the expression, and what the page shows.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await self.value(expression):  # noqa: ASYNC110 - the page tells nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            shown = await self.value("document.body.innerText.slice(0, 3000)")
            raise TimeoutError(f"{expression}\n{shown}\n{self.complaints}") from None

    async def width(self, pixels: int, height: int = 900, *, is_phone: bool = False) -> None:
        """Have a window of that size."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=pixels,
            height=height,
            deviceScaleFactor=1,
            mobile=is_phone,
        )

    async def prefer(self, scheme: str) -> None:
        """Have "light" or "dark" colours preferred."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def picture(self) -> bytes:
        """The window as PNG."""
        taken = await self.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        return base64.b64decode(taken["data"])


@asynccontextmanager
async def browsing(chromium: str, profile: Path) -> AsyncIterator[Tab]:
    """An empty tab of a browser that has its ``profile`` in that folder."""
    process = await asyncio.create_subprocess_exec(
        *(chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with ClientSession() as session:
            port = await _port(profile / "DevToolsActivePort")
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as response:
                address = (await response.json(content_type=None))["webSocketDebuggerUrl"]
            async with (
                session.ws_connect(address, max_msg_size=FRAME_BYTES) as socket,
                asyncio.TaskGroup() as group,
            ):
                tab = Tab(socket)
                listening = group.create_task(tab.listen())
                yield tab
                listening.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _port(file: Path) -> int:
    """Where it listens, as soon as it says so."""
    await until(lambda: "\n" in _content(file))
    return int(_content(file).split("\n")[0])


def _content(file: Path) -> str:
    return file.read_text() if file.exists() else ""
