"""A call with Python's urllib."""

import sys
from urllib import request
from urllib.error import HTTPError

mode, url, token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
if mode == "prefer":
    headers["Prefer"] = "wait=30"
try:
    response = request.urlopen(request.Request(url, b"[]", headers))
except HTTPError as error:
    response = error
print(response.status, response.read().decode())
