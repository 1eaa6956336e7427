"""The modules that ``setup.py`` compiles: what they have to keep to, and that they were."""

from __future__ import annotations

import ast
import importlib
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import build

ROOT = Path(__file__).parent.parent
COMPILED: tuple[str, ...] = runpy.run_path(str(ROOT / "setup.py"))["COMPILED"]


def names_for_types_only(tree: ast.Module) -> set[str]:
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def is_record(node: ast.stmt) -> bool:
    """A dataclass or a named tuple: its fields' types are looked at when the module is loaded."""
    if not isinstance(node, ast.ClassDef):
        return False
    said = [ast.unparse(part) for part in (*node.decorator_list, *node.bases)]
    return any("dataclass" in part or "NamedTuple" in part for part in said)


@pytest.mark.parametrize("path", COMPILED)
def test_types_of_records_are_there_when_a_compiled_module_is_loaded(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    used = {
        name.id
        for record in filter(is_record, tree.body)
        for field in ast.walk(record)
        if isinstance(field, ast.AnnAssign)
        for name in ast.walk(field.annotation)
        if isinstance(name, ast.Name)
    }
    assert not used & names_for_types_only(tree), "else mypyc's code crashes, or finds no such name"


is_compiled_build = pytest.mark.skipif(
    os.environ.get("GATEWAY_COMPILE") != "1", reason="for `make compiled`"
)


@is_compiled_build
def test_modules_are_compiled() -> None:
    modules = [
        importlib.import_module(path.removesuffix(".py").replace("/", ".")) for path in COMPILED
    ]
    assert [module for module in modules if str(module.__file__).endswith(".py")] == []


@is_compiled_build
def test_processes_of_the_tests_run_the_compiled_build() -> None:
    command = [sys.executable, "-m", "gateway", "--version"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("(compiled)\n")


def test_build_is_told() -> None:
    compiled = os.environ.get("GATEWAY_COMPILE") == "1"
    assert build() == ("compiled" if compiled else "interpreted")


def test_compiling_without_what_it_needs_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "mypyc.py").write_text("raise ImportError")
    ran = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, "GATEWAY_COMPILE": "1", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "requirements-build.lock" in ran.stderr
