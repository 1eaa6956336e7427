"""Makes the man page and the shells' completions from what the commands say of themselves.

Usage: python -m tools.texts [FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage

from gateway.cli.parser import PROGRAM, parser

ROOT = Path(__file__).parent.parent
MAN_PAGE = f"gateway/share/{PROGRAM}.1"
COMPLETIONS = {
    "bash": f"gateway/share/{PROGRAM}.bash",
    "zsh": f"gateway/share/_{PROGRAM}",
    "tcsh": f"gateway/share/{PROGRAM}.csh",
}
_NO_DATE = ""
"""The page is the same whenever it is made."""


def texts() -> dict[str, str]:
    """What each file has, by its path in the repository."""
    page = Manpage(parser())
    page.date, page.source, page.manual = _NO_DATE, PROGRAM, "User Commands"
    page.description = "wait for the results of TheEye's jobs over plain HTTP"
    made = {MAN_PAGE: f"{page}\n"}
    for shell, path in COMPLETIONS.items():
        script = shtab.complete(parser(_complete_files), shell)
        lines = [line.rstrip() for line in script.strip().splitlines()]
        made[path] = "\n".join(lines) + "\n"
    return made


def _complete_files(action: argparse.Action) -> None:
    vars(action)["complete"] = shtab.FILE


def main(folder: Path = ROOT) -> None:
    for path, text in texts().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
