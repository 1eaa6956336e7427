"""Measures what the limits take; ``--help`` tells the options. Also run by its path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.decisions import main  # noqa: E402 - found only now when run by its path

if __name__ == "__main__":
    sys.exit(main())
