"""Load: wrk, and the clients of ``benchmarks.clients``, each as a process of its own."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.processes import Process

SPARE_SECONDS = 20.0
"""What a client may take beyond its time."""
CLIENT_SECONDS = 90.0
WRK_SECONDS = 2
"""As long as wrk waits for a response by itself."""
_REQUESTS = re.compile(r"^\s*(\d+) requests in ([\d.]+)s", re.MULTILINE)
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
_FAILURES = re.compile(r"^\s*(?:Socket errors|Non-2xx or 3xx responses):.*$", re.MULTILINE)


class LoadFailed(Exception):
    """Not all requests were answered well, so the figure would mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    rate: float
    """Requests answered a second."""
    cpu_microseconds: float
    """Processor time of the server for each."""
    requests: int = 1


class Clients:
    """Loads servers; ``folder`` takes what it writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def wrk(
        self,
        server: Process,
        target: str,
        *,
        connections: int,
        seconds: float,
        post_bytes: int = 0,
        prefix: tuple[str, ...] = (),
    ) -> Load:
        """Requests as fast as they are answered, one thread, each within ``seconds``, or
        ``WRK_SECONDS`` if that is more; ``prefix`` is put before wrk.

        Raises:
            LoadFailed
        """
        script: list[str] = []
        if post_bytes:
            path = self._folder / f"post-{post_bytes}.lua"
            path.write_text(
                f'wrk.method = "POST"\nwrk.body = string.rep("x", {post_bytes})\n', "ascii"
            )
            script = ["--script", str(path)]
        command = [*prefix, "wrk", "--threads", "1", *script]
        command += ["--connections", str(connections), "--duration", f"{max(round(seconds), 1)}s"]
        command += ["--timeout", f"{max(round(seconds), WRK_SECONDS)}s"]
        before = server.cpu_seconds()
        url = f"{server.scheme}://127.0.0.1:{server.port}{target}"
        output = _run([*command, url], seconds)
        used = server.cpu_seconds() - before
        answered, rate = _REQUESTS.search(output), _RATE.search(output)
        failures = _FAILURES.search(output)
        if failures or answered is None or rate is None or not int(answered[1]):
            raise LoadFailed(failures[0].strip() if failures else output.strip())
        requests = int(answered[1])
        return Load(float(rate[1]), used / requests * 1e6, requests)

    def run(self, client: str, **arguments: object) -> _Findings:
        """Run one of ``benchmarks.clients`` to its end.

        Raises:
            LoadFailed
        """
        findings: _Findings = json.loads(_run(self._command(client, arguments), CLIENT_SECONDS))
        return findings

    @contextlib.contextmanager
    def holding(self, **arguments: object) -> Iterator[None]:
        """Within the block, idle connections are open."""
        with subprocess.Popen(
            self._command("idle", arguments),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as client:
            try:
                assert client.stdout is not None
                if not client.stdout.readline():
                    raise LoadFailed("not all connections could be opened")
                yield
            finally:
                client.kill()

    def _command(self, client: str, arguments: dict[str, object]) -> list[str]:
        return [sys.executable, "-m", "benchmarks.clients", client, json.dumps(arguments)]


_Findings = dict[str, float]


def _run(command: list[str], seconds: float) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds + SPARE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        raise LoadFailed(f"no end after {expired.timeout:g} s") from expired
    if done.returncode:
        raise LoadFailed((done.stderr or done.stdout).strip()[-300:])
    return done.stdout
