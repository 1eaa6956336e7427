"""Measures waiting for jobs: by polling, and where it is built by push. Also run by its path."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.machine import machine  # noqa: E402 - found only now when run by its path

PARTS = ("polling", "push")


def main(arguments: list[str]) -> int:
    """Run the parts that are named, or all; the worst of their exit statuses."""
    for what, found in machine().items():
        print(f"- {what}: {found}", flush=True)
    worst = 0
    for part in arguments or PARTS:
        name = f"benchmarks.waiting.{part}"
        if importlib.util.find_spec(name) is not None:
            print(flush=True)
            worst = max(worst, importlib.import_module(name).main([]))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
