"""The Dockerfile as a list of stages, each a list of instructions."""

from __future__ import annotations

import re


def stages(text: str) -> list[list[str]]:
    """The instructions of each stage, one a line, without comments; ``FROM`` is the first of each.

    What stands before the first ``FROM`` is in none.
    """
    joined = re.sub(r"\\\n\s*", "", text)
    found: list[list[str]] = []
    for line in joined.splitlines():
        if line.startswith("FROM"):
            found.append([])
        if found and line and not line.startswith("#"):
            found[-1].append(line)
    return found
