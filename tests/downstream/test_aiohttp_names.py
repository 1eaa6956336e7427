from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway.downstream.aiohttp_names import ADMITTED, NAMES, REQUEST_HANDLER, misfit

ROOT = Path(__file__).parents[2]
EXTENDING = {"inbound": "Inbound", "connection": "Connection"}


def inherited() -> set[str]:
    """What the classes that extend aiohttp's use of it: on ``self``, and not their own."""
    own: set[str] = set()
    used: set[str] = set()
    for module, name in EXTENDING.items():
        tree = ast.parse((ROOT / "gateway/downstream" / f"{module}.py").read_text("utf-8"))
        (found,) = [
            node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name
        ]
        for node in found.body:
            if isinstance(node, ast.Assign):
                own.update(ast.literal_eval(node.value))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own.add(node.name)
        used.update(
            node.attr
            for node in ast.walk(found)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"self", "super()"}
        )
    return used - own


def test_every_name_that_is_leant_on_is_looked_for() -> None:
    assert set(REQUEST_HANDLER) == inherited()


def test_admitted_releases_are_those_of_the_project_and_have_the_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"aiohttp{ADMITTED}" in project["dependencies"]
    assert misfit() == ""


WITHOUT = """
import sys
from aiohttp import {module}
owner = {module}{inner}
type.__delattr__(owner, {name!r}) if isinstance(owner, type) else delattr(owner, {name!r})
from gateway.cli.main import main
sys.exit(main({arguments!r}))
"""


@pytest.mark.parametrize(
    "arguments", [["serve"], ["serve", "--workers", "2"], ["demo"]], ids=" ".join
)
@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("web_protocol.RequestHandler", "_msg_queue_resume_size"),
        ("web_protocol.RequestHandler", "_resume_reading_if_drained"),
        ("web_protocol", "_ErrInfo"),
    ],
)
def test_start_without_one_of_them_is_refused_in_a_sentence(
    place: str, name: str, arguments: list[str]
) -> None:
    assert name in NAMES[place]
    module, dot, inner = place.partition(".")
    code = WITHOUT.format(module=module, inner=dot + inner, name=name, arguments=arguments)
    environ = {name: value for name, value in os.environ.items() if name != "GATEWAY_COMPILE"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environ,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("theeye-sync-gateway: aiohttp 3.")
    assert f" cannot be used, it has no {place}.{name}; install aiohttp>=" in line
