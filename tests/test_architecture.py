"""What holds for all modules: which way imports point, how long a module is, that it has tests."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "gateway").rglob("*.py"))
LINES = 300

LAYERS: tuple[tuple[str, ...], ...] = (
    ("gateway",),
    ("errors",),
    (
        "aiohttp_names",
        "cross_origin",
        "routes",
        "config",
        "content",
        "durations",
        "fields",
        "host",
        "malformed",
        "outbox",
        "places",
        "portions",
        "query",
        "redaction",
        "redis_client",
        "signing_keys",
        "sockets",
        "tasks",
        "tls",
        "demo",
    ),
    ("content_coding", "max_forwards", "response_head"),
    (
        *("admission", "upstream", "downstream", "contradictions", "wording"),
        *("acceptor", "descriptors"),
    ),
    ("exchange", "forwarding", "settings"),
    ("proxy", "sync", "limits"),
    ("ops",),
    ("turn",),
    ("pipeline",),
    ("inbound",),
    ("connection",),
    ("listener",),
    ("app",),
    ("server",),
    ("workers",),
    ("demonstration",),
    ("cli",),
    ("__main__",),
)
"""A part imports from the layers above its own, or from itself; ``gateway`` is the version."""

RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}

WITHOUT_TESTS_OF_THEIR_OWN = {
    "gateway/__main__.py": "tests/test_cli.py runs it",
    "gateway/places.py": "counts only; tests/test_acceptor.py holds what is done with them",
    "gateway/config.py": "defaults only; tests/test_settings.py holds them",
    "gateway/sync/outcome.py": "an enum; tests/sync/test_orchestrator.py holds its use",
    "gateway/upstream/exchange.py": "tests/upstream/test_origin.py: every exchange there is one",
    **{
        f"gateway/demo/{name}.py": "tests/demo/test_recordings.py compares it with TheEye"
        for name in ("answers", "identity", "listing", "tasks", "views", "wire")
    },
    "gateway/demo/__main__.py": "starts the orchestrator as a process of its own, for tests/e2e",
}


def name_of(path: Path) -> str:
    relative = path.relative_to(ROOT).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__")


NAMES = {name_of(path) for path in MODULES}


def part_of(module: str) -> str:
    """The entry of ``LAYERS`` that a module belongs to."""
    inner = module.split(".")[1:]
    if ".".join(inner) in RANK:
        return ".".join(inner)
    return inner[0] if inner else "gateway"


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The gateway's modules that a module imports, and whether only for its types."""
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            inner = [f"{module}.{alias.name}" for alias in node.names]
            names = [name if name in NAMES else module for name in inner]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "gateway":
                yield name, node in for_types


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    own = part_of(name_of(path))
    assert own in RANK, f"{own} has no layer"
    for imported, only_for_types in imports(path):
        part = part_of(imported)
        assert imported in NAMES
        is_below = RANK[part] < RANK[own]
        is_beside = RANK[part] == RANK[own] and only_for_types
        assert is_below or part == own or is_beside, f"{own} imports {imported}"


@pytest.mark.parametrize(("part", "other"), [("proxy", "sync"), ("sync", "proxy")])
def test_pass_through_and_sync_mode_do_not_know_each_other(part: str, other: str) -> None:
    of_part = [path for path in MODULES if part_of(name_of(path)) == part]
    assert of_part
    assert other not in {part_of(name) for path in of_part for name, _ in imports(path)}


def test_there_are_no_import_cycles() -> None:
    below = {
        name_of(path): {name for name, for_types in imports(path) if not for_types}
        for path in MODULES
    }
    while below:
        leaves = {name for name, imported in below.items() if not imported & below.keys() - {name}}
        assert leaves, f"a cycle among {sorted(below)}"
        for name in leaves:
            del below[name]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LINES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_says_what_it_is(path: Path) -> None:
    source = path.read_text("utf-8")
    assert not source or ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_has_tests(path: Path) -> None:
    relative = path.relative_to(ROOT)
    if relative.as_posix() in WITHOUT_TESTS_OF_THEIR_OWN or path.name == "__init__.py":
        return
    inner = relative.relative_to("gateway")
    assert (ROOT / "tests" / inner.parent / f"test_{inner.name}").exists()


def test_exceptions_are_of_modules_that_exist() -> None:
    assert {ROOT / name for name in WITHOUT_TESTS_OF_THEIR_OWN} <= set(MODULES)


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=name_of)
def test_folder_of_tests_is_a_package(folder: Path) -> None:
    assert (ROOT / "tests" / folder.relative_to(ROOT / "gateway") / "__init__.py").exists()
