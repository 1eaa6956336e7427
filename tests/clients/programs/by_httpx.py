"""A call with httpx."""

import sys
from functools import partial

import httpx

mode, url, token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
post = httpx.post
if mode == "prefer":
    headers["Prefer"] = "wait=30"
if mode == "loop":
    post = partial(httpx.post, follow_redirects=True)
response = post(url, content="[]", headers=headers)
print(response.status_code, response.text)
