"""The man page and the shells' completions say what the commands say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.parser import PROGRAM
from tests.support.harness import program

ROOT = Path(__file__).parent.parent
MAN_PAGE = ROOT / "gateway" / "share" / f"{PROGRAM}.1"
BASH = ROOT / "gateway" / "share" / f"{PROGRAM}.bash"
COMMANDS = {"serve", "check", "settings", "demo", "hash-token", "seal-key"}


def completed(line: str, folder: Path) -> set[str]:
    """What bash offers behind ``line`` in that folder."""
    words = line.split(" ")
    script = f"""
source {BASH}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
COMP_CWORD={len(words) - 1}
$(complete -p {PROGRAM} | sed 's/.*-F \\([^ ]*\\) .*/\\1/') {PROGRAM} '{words[-1]}' '{words[-2]}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    ran = subprocess.run(
        [program("bash"), "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return set(ran.stdout.split())


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="each Python words the usage in its own way"
)
def test_files_are_made_from_the_commands() -> None:
    from tools.texts import texts  # noqa: PLC0415 - its tools are not everywhere

    for path, text in texts().items():
        assert (ROOT / path).read_text("utf-8") == text, "python -m tools.texts"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("", COMMANDS),
        ("se", {"serve", "settings", "seal-key"}),
        ("serve --", {"--help", "--config", "--upstream", "--listen", "--workers"}),
        ("serve --w", {"--workers"}),
        ("check --co", {"--config", "--connect"}),
        ("settings --s", {"--schema"}),
        ("check --config gate", {"gateway.toml"}),
    ],
)
def test_bash_completes_commands_options_and_files(
    tmp_path: Path, line: str, offered: set[str]
) -> None:
    (tmp_path / "gateway.toml").touch()
    found = completed(f"{PROGRAM} {line}", tmp_path)
    assert found - {"-h", "--version"} >= offered if not line else found == offered


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man")
def test_man_page_can_be_read() -> None:
    ran = subprocess.run(
        ["man", "--warnings", "--local-file", str(MAN_PAGE)],
        capture_output=True,
        text=True,
        check=True,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MANWIDTH": "80", "MANPAGER": "cat"},
    )
    assert ran.stderr == ""
    for word in (*COMMANDS, "--connect", "examples:"):
        assert word in ran.stdout
