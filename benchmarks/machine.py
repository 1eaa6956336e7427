"""The machine and the versions of what ran on it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from gateway import __version__

_VERSIONS = {"nginx": "-v", "haproxy": "-v", "wrk": "-v", "node": "-v"}
_NUMBER = re.compile(r"\d+\.\d+[\w.+~-]*")


def machine() -> dict[str, str]:
    found = {tool: _version(tool, flag) for tool, flag in _VERSIONS.items()}
    tools = ", ".join(f"{tool} {number}" for tool, number in found.items() if number)
    packages = ("aiohttp", "uvloop", "httptools")
    libraries = ", ".join(f"{package} {version(package)}" for package in packages)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return {
        "Machine": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        "Load average at the start": busy,
        "Software": f"{platform.python_implementation()} {platform.python_version()}, {libraries}, "
        f"gateway {__version__}, {tools}",
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(tool: str, flag: str) -> str:
    if shutil.which(tool) is None:
        return ""
    done = subprocess.run([tool, flag], capture_output=True, text=True, timeout=10, check=False)
    found = _NUMBER.search(done.stdout + done.stderr)
    return found[0] if found else ""
