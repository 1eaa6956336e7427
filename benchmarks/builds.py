"""Which build of the gateway there is to measure."""

from __future__ import annotations

import filecmp
from importlib.machinery import EXTENSION_SUFFIXES
from typing import TYPE_CHECKING

from benchmarks.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def compiled_build() -> Path | None:
    """Where ``make compiled`` put the gateway; None unless it is for this Python and of the sources
    that are here."""
    folder = ROOT / "build/compiled"
    sources = [path.relative_to(ROOT) for path in (ROOT / "gateway").rglob("*.py")]
    is_current = all(
        (folder / path).exists() and filecmp.cmp(ROOT / path, folder / path) for path in sources
    )
    module = folder / "gateway/proxy/pipeline"
    has_code = any(module.with_suffix(suffix).exists() for suffix in EXTENSION_SUFFIXES)
    return folder if is_current and has_code else None
