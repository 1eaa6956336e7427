"""What holds for all tests: nothing is patched."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted((ROOT / "tests").rglob("*.py"))
}
CHANGING = {"setattr", "setitem", "delattr", "delitem", "patch", "spy", "stub"}
"""What changes a thing that others use, as a method or a function: of the environment and the
working directory a test may have its own."""
MOCKING = {"mock", "unittest.mock", "pytest_mock"}


def imported(tree: ast.AST) -> set[str]:
    """The names that stand for modules, or for what is in one."""
    return {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def root(node: ast.expr) -> str:
    """The name that a chain of attributes, elements and calls begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Name) and node.id == "vars":
            return "vars"
    return node.id if isinstance(node, ast.Name) else ""


def changed(node: ast.AST) -> list[ast.expr]:
    """What a statement gives another value."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return [target]
    return []


def is_mock(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return any(alias.name in MOCKING for alias in names)
        case ast.ImportFrom(module=module, names=names):
            return module in MOCKING or any(f"{module}.{one.name}" in MOCKING for one in names)
        case ast.arg(arg=name):
            return name == "mocker"
    return False


def is_patch(node: ast.AST, foreign: set[str]) -> bool:
    """Whether it changes what it has imported, or a private part of something."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) if name in CHANGING:
            return True
        case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[ast.Name(id=name), *_]):
            return name in foreign
    return any(
        isinstance(target, ast.Attribute | ast.Subscript)
        and (root(target) in foreign | {"vars"} or is_private_of_another(target))
        for target in changed(node)
    )


def is_private_of_another(target: ast.expr) -> bool:
    while isinstance(target, ast.Subscript):
        target = target.value
    return (
        isinstance(target, ast.Attribute)
        and target.attr.startswith("_")
        and root(target.value) not in {"self", "cls"}
    )


def patches(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    foreign = imported(tree)
    for node in ast.walk(tree):
        if is_mock(node) or is_patch(node, foreign):
            yield ast.unparse(node)


@pytest.mark.parametrize("path", SOURCES)
def test_nothing_is_patched(path: str) -> None:
    """Compiled code does not see it, and what is replaced is not what is shipped: parts get what
    a test changes through their constructors, or as arguments.
    """
    assert not [*patches(SOURCES[path])]


@pytest.mark.parametrize(
    "source",
    [
        "from unittest import mock",
        "from unittest.mock import patch",
        "import pytest_mock",
        "def test_it(mocker): ...",
        "monkeypatch.setattr('a.b', 1)",
        "monkeypatch.setitem(d, 'a', 1)",
        "patched.delattr(a, 'b')",
        "import a\nsetattr(a, 'b', 1)",
        "import a\na.B = 1",
        "import a.b\na.b.C += 1",
        "from a import B\nB.c = lambda: 1",
        "from a import B\ndel B.c",
        "from a import b\nb['c'] = 1",
        "vars(a)['b'] = 1",
        "a()._b = 1",
        "a._b['c'] = 1",
    ],
)
def test_patches_are_found(source: str) -> None:
    assert [*patches(source)]


@pytest.mark.parametrize(
    "source",
    [
        "monkeypatch.setenv('A', '1')",
        "monkeypatch.chdir(path)",
        "self._a = 1",
        "a.b = 1",
        "from a import B\nb = B()\nb.c: int = 1",
        "setattr(record, name, value)",
    ],
)
def test_what_belongs_to_a_test_may_be_changed(source: str) -> None:
    assert not [*patches(source)]
