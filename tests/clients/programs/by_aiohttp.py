"""A call with aiohttp."""

import asyncio
import sys
from functools import partial

import aiohttp

mode, url, token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
if mode == "prefer":
    headers["Prefer"] = "wait=30"


async def call() -> None:
    async with aiohttp.ClientSession() as session:
        post = session.post
        if mode == "loop":
            post = partial(session.post, max_redirects=20)
        async with post(url, data="[]", headers=headers) as response:
            print(response.status, await response.text())


asyncio.run(call())
