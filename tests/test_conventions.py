"""What holds for all tests: nothing is patched, nobody sleeps long, and RFCs are in the names."""

from __future__ import annotations

import ast
import re
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


@pytest.mark.no_cover
def test_nothing_is_patched() -> None:
    """Compiled code does not see it, and what is replaced is not what is shipped: parts get what
    a test changes through their constructors, or as arguments.
    """
    assert not {path: found for path, source in SOURCES.items() if (found := [*patches(source)])}


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


VIRTUAL = "virtual_time"
MOST_SECONDS = 0.05


def is_marked(node: ast.AST) -> bool:
    """As one whose clock jumps."""
    return any(VIRTUAL in ast.unparse(each) for each in getattr(node, "decorator_list", []))


def long_sleeps(source: str) -> Iterator[str]:
    """The sleeps of so many seconds of real time, where the number stands there. What is no test
    may be a part of those with a clock that jumps, where the module has such.
    """
    tree = ast.parse(source)
    if any(
        "pytestmark" in ast.unparse(node) and VIRTUAL in ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.Assign)
    ):
        return
    for outer in tree.body:
        is_test = getattr(outer, "name", "").startswith("test_")
        if is_marked(outer) or (not is_test and VIRTUAL in source):
            continue
        for node in ast.walk(outer):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="asyncio" | "time"), attr="sleep"),
                    args=[ast.Constant(value=int() | float() as seconds)],
                ) if seconds > MOST_SECONDS:
                    yield ast.unparse(node)


@pytest.mark.no_cover
def test_nobody_sleeps_long_by_the_real_clock() -> None:
    """Those of tests/clients do, as users' programs: `make test` leaves them out."""
    found = {path: [*long_sleeps(source)] for path, source in SOURCES.items()}
    assert not {path for path in found if found[path] and not path.startswith("tests/clients/")}


def test_long_sleeps_are_found() -> None:
    slept = "    await asyncio.sleep(1)\n"
    real = f"async def test_it():\n{slept}"
    virtual = f"@pytest.mark.{VIRTUAL}\n{real}"
    assert [*long_sleeps(real)]
    assert not [*long_sleeps(virtual)]
    assert [*long_sleeps(f"{virtual}{real}")]
    assert not [*long_sleeps(f"pytestmark = pytest.mark.{VIRTUAL}\n{real}")]
    assert not [
        *long_sleeps(f"from tests.support.{VIRTUAL} import run\nasync def wait():\n{slept}")
    ]


TESTS = {
    f"{path}::{node.name}": node
    for path, source in SOURCES.items()
    for outer in ast.parse(source).body
    for node in (outer.body if isinstance(outer, ast.ClassDef) else [outer])
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
}
CITED = re.compile(r"\bRFC (\d+), (\d+(?:\.\d+)*)")
NAMED = re.compile(r"test_rfc_\d+_\d+(_\d+)*_[a-z0-9]\w*")


def test_what_a_test_holds_of_an_rfc_is_in_its_name() -> None:
    """The number and the section, as in ``test_rfc_9112_9_6_last_request_says_so``."""
    wrong = []
    for place, node in TESTS.items():
        cited = CITED.search(ast.get_docstring(node) or "")
        expected = "test_rfc_{}_{}_".format(cited[1], cited[2].replace(".", "_")) if cited else ""
        is_named = node.name.startswith("test_rfc_")
        if not node.name.startswith(expected) or (is_named and not NAMED.fullmatch(node.name)):
            wrong.append(place)
    assert not wrong
