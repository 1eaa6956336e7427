"""The settings for HAProxy: it takes them, and they fit the gateway's."""

from __future__ import annotations

import re
import subprocess

from gateway.config import Config
from tests.support.haproxy import FILE
from tests.support.harness import program

TEXT = FILE.read_text("utf-8")


def seconds(name: str) -> int:
    [found] = re.findall(rf"(?m)^ *timeout {name} (\d+)s$", TEXT)
    return int(found)


def test_haproxy_takes_them_and_warns_of_nothing() -> None:
    ran = subprocess.run(
        [program("haproxy"), "-c", "-f", str(FILE)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "WARNING" not in ran.stderr


def test_responses_are_waited_for_longer_than_the_longest_hold() -> None:
    sync = Config().sync
    longest = max(sync.max_hold_seconds, sync.max_prefer_seconds)
    assert min(seconds("client"), seconds("server")) > longest


def test_requests_go_to_the_clients_port_and_checks_to_the_operators() -> None:
    ports = re.findall(r"(?m)^ *server \w+ \S+:(\d+) port (\d+)$", TEXT)
    assert ports == [(str(Config().listen.port), str(Config().admin.port))] * 2
