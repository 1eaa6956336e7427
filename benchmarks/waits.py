"""Measures what waiting for jobs costs and how late results come; ``--help`` tells the options.

Also run by its path.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.machine import machine  # noqa: E402 - found only now when run by its path
from benchmarks.waiting import organizations, polling, push  # noqa: E402

PARTS = {"organizations": organizations.main, "polling": polling.main, "push": push.main}


def main() -> int:
    """Run the parts that are named, or all; the worst of their exit statuses."""
    parser = argparse.ArgumentParser(description="Exits 1 if a floor is missed.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{' or '.join(PARTS)}; else all")
    wanted = parser.parse_args().parts or list(PARTS)
    unknown = set(wanted) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    for what, found in machine().items():
        print(f"- {what}: {found}", flush=True)
    worst = 0
    for part in wanted:
        print(flush=True)
        worst = max(worst, PARTS[part]([]))
    return worst


if __name__ == "__main__":
    sys.exit(main())
