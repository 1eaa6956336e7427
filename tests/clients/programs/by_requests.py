"""A call with requests."""

import sys

import requests

mode, url, token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
if mode == "prefer":
    headers["Prefer"] = "wait=30"
response = requests.post(url, data="[]", headers=headers)
print(response.status_code, response.text)
