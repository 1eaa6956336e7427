"""A call with urllib3."""

import sys
from functools import partial

import urllib3

mode, url, token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
request = urllib3.PoolManager().request
if mode == "prefer":
    headers["Prefer"] = "wait=30"
if mode == "loop":
    request = partial(request, retries=urllib3.Retry(20))
response = request("POST", url, body="[]", headers=headers)
print(response.status, response.data.decode())
