"""Calls with requests, one after the other, until stdin ends; a line for each."""

import random
import sys
import threading

import requests

base, token, create = sys.argv[1:]
HEADERS = {"Authorization": f"Bearer {token}"}
PREFERRING = {**HEADERS, "Prefer": "wait=30"}
CALLS = (
    ("relay", "GET", "/api/status", HEADERS),
    ("redirects", "POST", create + "&wait_result=true&timeout=1", HEADERS),
    ("prefer", "POST", create, PREFERRING),
)
"""The kind, the method, the target, the fields."""
over = threading.Event()


def loop(most_seconds: float) -> None:
    """Pause for up to so long before each call."""
    with requests.Session() as session:
        while not over.wait(random.uniform(0, most_seconds)):  # noqa: S311 - no secret
            kind, method, target, headers = random.choice(CALLS)  # noqa: S311
            json = [] if method == "POST" else None
            try:
                response = session.request(method, base + target, headers=headers, json=json)
                while response.status_code == 202:
                    response = session.get(base + response.headers["Location"], headers=headers)
                came = str(response.status_code)
            except requests.RequestException as failure:
                came = repr(failure)
            sys.stdout.write(f"{kind} {came}\n")
            sys.stdout.flush()


threads = [threading.Thread(target=loop, args=(seconds,)) for seconds in (0.0, 0.05, 1.2)]
for thread in threads:
    thread.start()
sys.stdin.read()
over.set()
for thread in threads:
    thread.join()
