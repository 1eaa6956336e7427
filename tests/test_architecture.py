"""What holds for all modules: which way imports point, how long one is, its tests, its listing."""

from __future__ import annotations

import ast
import re
from functools import cache
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
    ("backoff", "config", "durations"),
    ("alarm", "tasks"),
    ("descriptors", "redis", "shared", "stores"),
    ("protocols.http", "protocols.negotiation", "protocols.tracing", "protocols.websocket"),
    ("protocols.theeye",),
    ("wording",),
    ("tracing",),
    ("admission",),
    ("admission.identity",),
    ("admission.limits",),
    ("admission.shared",),
    ("upstream.messages",),
    ("upstream.connections",),
    ("upstream",),
    ("downstream.listening", "downstream.messages"),
    ("downstream",),
    ("sync.results",),
    ("sync.jobs",),
    ("sync.keys", "sync.looks"),
    ("sync.idempotency", "sync.watch"),
    ("sync.push", "sync.workflows"),
    ("sync.kept",),
    ("sync.following",),
    ("sync",),
    ("sync.cancellation",),
    ("sync.tethers",),
    ("ops.access", "ops.log", "ops.metrics"),
    ("ops.glances",),
    ("ops.page",),
    ("ops.operators", "ops.traces"),
    ("proxy.tunnels",),
    ("proxy",),
    ("assembly",),
    ("app",),
    ("server.forking", "server.systemd"),
    ("server",),
    ("server.workers",),
    ("server.supervision",),
    ("demo",),
    ("cli.checking", "cli.trying"),
    ("cli",),
    ("__main__",),
)
"""A room imports from the layers above its own, or from itself; ``gateway`` is the version.

Those of one layer do not know each other.
"""

RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
MODULES_IN_A_ROOM = 9

WITHOUT_TESTS_OF_THEIR_OWN = {
    "gateway/__main__.py": "tests/cli/test_main.py runs it",
    "gateway/downstream/listening/places.py": "counts only; test_acceptor.py holds their use",
    "gateway/cli/checking/contradiction.py": "a record; tests/cli/test_sources.py holds its use",
    "gateway/cli/parser.py": "tests/cli/test_main.py gives it arguments, tests/test_texts.py too",
    "gateway/ops/access/refusals.py": "errors; tests/ops/access/test_guard.py raises them",
    "gateway/admission/limits/admission.py": "a record; tests/proxy/test_limits.py holds its use",
    **{
        f"gateway/assembly/{name}.py": "makes parts; tests/test_app.py and tests/e2e hold them"
        for name in ("admission", "ops", "sync", "traces")
    },
    "gateway/proxy/checks.py": "joins parts; tests/e2e/test_identity.py and test_limits.py hold it",
    "gateway/proxy/refusals.py": "tests/e2e/test_attacks.py and test_limits.py read the responses",
    **{
        f"gateway/ops/metrics/{name}.py": "a table; test_tables.py and test_metrics.py hold it"
        for name in ("row", "rows", "rows_of_parts", "rows_of_requests")
    },
    "gateway/ops/glances/glance.py": "records; test_lookout.py and test_together.py hold their use",
    "gateway/ops/traces/spans.py": "a record; tests/ops/traces/test_recorder.py holds its use",
    "gateway/tracing/facts.py": "records; tests/tracing/test_tracer.py holds their use",
    "gateway/server/forking/forked.py": "tests/server/forking/test_fork_server.py asks it",
    "gateway/server/forking/program.py": "tests/server/supervision/test_process.py starts one",
    "gateway/server/workers/zygote.py": "tests/e2e/test_tls_sessions.py has its workers",
    "gateway/server/offer.py": "a list; tests/e2e/test_admin_access.py asks for each of them",
    "gateway/server/signals.py": "test_server.py, test_parent.py and test_worker.py send signals",
    **{
        f"gateway/config/{name}.py": "types and defaults; tests/cli/test_rendering.py holds them"
        for name in ("limits", "sections", "sync", "timing", "values")
    },
    "gateway/downstream/connection_state.py": "tests/downstream/test_connection_states.py",
    "gateway/downstream/terms.py": "says what others are; tests/downstream/test_connection.py",
    "gateway/downstream/peer.py": "tests/downstream/test_request.py and test_connection.py",
    "gateway/sync/idempotency/first_request.py": "tests/sync/idempotency/test_creations.py",
    "gateway/sync/jobs/client_reads.py": "tests/sync/jobs/test_result_reader.py holds its use",
    "gateway/sync/jobs/outcome.py": "an enum; tests/sync/jobs/test_reader.py holds its use",
    **{
        f"gateway/demo/{name}.py": "tests/demo/test_recordings.py compares it with TheEye"
        for name in (
            *("answers", "identity", "showing", "task_views", "tasks", "versions", "views", "wire"),
            *("workflows/catalogue", "workflows/views"),
        )
    },
    "gateway/demo/__main__.py": "starts the orchestrator as a process of its own, for tests/e2e",
}


def name_of(path: Path) -> str:
    relative = path.relative_to(ROOT).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__")


NAMES = {name_of(path) for path in MODULES}


def room_of(module: str) -> str:
    """The entry of ``LAYERS`` that a module belongs to: itself, or the folder it stands in."""
    inner = module.split(".")[1:]
    for length in range(len(inner), 0, -1):
        if (room := ".".join(inner[:length])) in RANK:
            return room
    return "gateway"


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """The gateway's modules that a module imports, and whether only for its types."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    tree = tree_of(path)
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


@pytest.mark.no_cover
def test_imports_point_one_way() -> None:
    """Those that are for types only too."""
    found = [(name_of(path), imported) for path in MODULES for imported, _ in imports(path)]
    assert {imported for _, imported in found} <= NAMES
    rooms = {(name, imported): (room_of(name), room_of(imported)) for name, imported in found}
    assert not {
        pair for pair, (own, room) in rooms.items() if own != room and RANK[room] >= RANK[own]
    }


def test_each_room_can_be_seen_at_a_glance() -> None:
    rooms = [path for path in (ROOT / "gateway").rglob("*") if path.is_dir()]
    counted = {str(room.relative_to(ROOT)): len([*room.glob("[!_]*.py")]) for room in rooms}
    assert max(count for room, count in counted.items() if room != "gateway/demo") <= (
        MODULES_IN_A_ROOM
    )


def listed() -> dict[str, list[str]]:
    """The modules of each room, as the README's listing has them."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (block,) = re.findall(r"^```\ngateway/\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    rooms: dict[str, list[str]] = {}
    outer = Path()
    for line in block.splitlines():
        name, modules = line[:17].rstrip(), line[17:].split()
        if not name.startswith("    "):
            outer = Path(name.strip())
        room = outer / name.strip() if name.startswith("    ") else outer
        rooms[room.as_posix()] = modules
    return rooms


def test_readme_lists_all_rooms_and_modules() -> None:
    package = ROOT / "gateway"
    rooms = [path.parent for path in package.rglob("__init__.py")]
    assert listed() == {
        room.relative_to(package).as_posix(): sorted(path.stem for path in room.glob("[!_]*.py"))
        for room in rooms
    }


@pytest.mark.parametrize(("room", "other"), [("proxy", "sync"), ("sync", "proxy")])
def test_pass_through_and_sync_mode_do_not_know_each_other(room: str, other: str) -> None:
    of_room = [path for path in MODULES if name_of(path).startswith(f"gateway.{room}.")]
    of_room = [path for path in of_room if path.stem not in {"pipeline", "cycle"}]
    assert of_room
    assert not [
        name for path in of_room for name, _ in imports(path) if name.startswith(f"gateway.{other}")
    ]


def test_groups_of_parts_are_joined_in_the_app_only() -> None:
    """A module of ``assembly`` makes one group and is given what it uses of the others."""
    joining = {
        (name_of(path), imported)
        for path in MODULES
        for imported, _ in imports(path)
        if imported.startswith("gateway.assembly.")
    }
    assert joining
    assert {name for name, _ in joining} == {"gateway.app"}


def test_there_are_no_import_cycles() -> None:
    below = {name_of(path): {name for name, _ in imports(path)} for path in MODULES}
    while below:
        leaves = {name for name, imported in below.items() if not imported & below.keys() - {name}}
        assert leaves, f"a cycle among {sorted(below)}"
        for name in leaves:
            del below[name]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def own_names(node: ast.ClassDef) -> set[str]:
    """What a class defines itself: members, and attributes that are set on ``self``."""
    members = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
    members |= {part.name for part in node.body if isinstance(part, ast.AsyncFunctionDef)}
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
            members.add(part.attr)
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            members.add(part.id)
    return members


@cache
def classes() -> dict[str, ast.ClassDef]:
    """All of the gateway's, by their names."""
    nodes = (node for path in MODULES for node in ast.walk(tree_of(path)))
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def known_names(node: ast.ClassDef) -> set[str]:
    """What a class and those of ours that it extends define."""
    bases = [classes()[name] for base in node.bases if (name := ast.unparse(base)) in classes()]
    return own_names(node).union(*map(known_names, bases))


def foreign_names(path: Path) -> Iterator[str]:
    """Private names of others that a module imports, or takes from what its classes extend."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *[alias.name for alias in node.names]]
            yield from (name for name in names if is_private(name))
        elif isinstance(node, ast.ClassDef):
            used = {
                part.attr
                for part in ast.walk(node)
                if isinstance(part, ast.Attribute) and ast.unparse(part.value) in {"self", "cls"}
            }
            yield from {name for name in used if is_private(name)} - known_names(node)


@pytest.mark.no_cover
def test_no_private_name_of_anybody_else_is_used() -> None:
    """Ruff's SLF001 holds it where the object is not ``self``."""
    found = {name_of(path): [*foreign_names(path)] for path in MODULES}
    assert not {name: foreign for name, foreign in found.items() if foreign}


def test_the_clients_side_knows_nothing_of_aiohttp() -> None:
    of_room = [path for path in MODULES if name_of(path).startswith("gateway.downstream")]
    assert of_room
    assert not [path for path in of_room if "aiohttp" in path.read_text("utf-8")]


def test_every_module_is_short() -> None:
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert not {name: count for name, count in lines.items() if count > LINES}


def test_every_module_says_what_it_is() -> None:
    trees = {name_of(path): tree_of(path) for path in MODULES}
    assert not [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)]


def test_no_two_classes_have_the_same_name() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name_of(path))
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_every_module_has_tests() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in MODULES if path.name != "__init__.py"}
    inner = [
        Path(name).relative_to("gateway") for name in names - WITHOUT_TESTS_OF_THEIR_OWN.keys()
    ]
    wanted = [ROOT / "tests" / path.parent / f"test_{path.name}" for path in inner]
    assert not [path for path in wanted if not path.exists()]


def test_exceptions_are_of_modules_that_exist() -> None:
    assert {ROOT / name for name in WITHOUT_TESTS_OF_THEIR_OWN} <= set(MODULES)


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent.relative_to(ROOT / "gateway") for path in MODULES}
    packages = [ROOT / "tests" / folder / "__init__.py" for folder in folders]
    assert not [path for path in packages if not path.exists()]
