"""Settings as text: a value, those in force, and a file of all with what each is for."""

from __future__ import annotations

import ast
import textwrap
from functools import cache, reduce
from inspect import cleandoc, getsource
from typing import TYPE_CHECKING

from gateway import wording
from gateway.config import Config
from gateway.config.changes import needs_restart
from gateway.config.tree import settings
from gateway.protocols.theeye.redaction import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config import Section
    from gateway.config.tree import Setting

_HEAD = """\
#:schema ./gateway.schema.json
#
# Every setting with its default. Copy what you change; the rest may be left out.
# An environment variable wins over this file: GATEWAY_SYNC__MAX_HOLD_SECONDS=30.
# `theeye-sync-gateway check --config FILE` shows the settings in force and all problems;
# `theeye-sync-gateway settings` prints this.
# SIGHUP takes up other settings while the gateway runs, but for those that need a restart.
"""
_COLUMNS = 98


def shown(value: object, setting: Setting) -> str:
    """The value as it would be written in the file; secrets are masked."""
    return f'"{MASK}"' if setting.is_secret and value else wording.shown(value)


def to_toml(config: Config) -> str:
    """The whole tree as a settings file; secrets are masked."""
    lines: list[str] = []
    for key, setting in settings().items():
        section, _, name = key.rpartition(".")
        if f"[{section}]" not in lines:
            lines += ["", f"[{section}]"] if lines else [f"[{section}]"]
        lines.append(f"{name} = {shown(reduce(getattr, key.split('.'), config), setting)}")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """A settings file that has all defaults, each below what the setting does."""
    config = Config()
    lines = [_HEAD.rstrip()]
    begun: set[str] = set()
    for key, setting in settings().items():
        section, _, name = key.rpartition(".")
        lines.append("")
        if section not in begun:
            begun.add(section)
            lines.append(f"[{section}]")
            if about := explanation(config, section):
                lines += [*_comment(about), ""]
        about = explanation(config, key)
        lines += _comment(f"{about} Needs a restart." if needs_restart(key) else about)
        lines.append(f"{name} = {shown(setting.default, setting)}")
    return "\n".join(lines) + "\n"


def explanation(config: Config, key: str) -> str:
    """The text below a member of the tree; empty where it has none."""
    *path, name = key.split(".")
    section: Section = reduce(getattr, path, config)
    return _explanations(type(section)).get(name, "")


@cache
def _explanations(section: type[Section]) -> dict[str, str]:
    """Of the members of a section, as they stand in its source."""
    (definition,) = ast.parse(getsource(section)).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for member, text in zip(definition.body, definition.body[1:], strict=False):
        match member, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as said)),
            ):
                found[name] = cleandoc(said)
    return found


def _comment(text: str) -> Iterator[str]:
    """Paragraphs are filled, lines that are indented stay as they are."""
    words: list[str] = []
    for line in [*text.splitlines(), " "]:
        if not line.startswith(" "):
            words.append(line)
            continue
        for filled in textwrap.wrap(
            " ".join(words), _COLUMNS, break_long_words=False, break_on_hyphens=False
        ):
            yield f"# {filled}"
        words.clear()
        if line.strip():
            yield f"# {line}"
