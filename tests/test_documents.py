"""Documents lead to what exists, and each can be found from the README."""

from __future__ import annotations

import re
import runpy
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from gateway.downstream import connection_state
from gateway.proxy.cycle import FOLLOWERS, CycleState
from gateway.proxy.tunnels.tunnel import MOVES as TUNNEL_MOVES
from gateway.proxy.tunnels.tunnel import TunnelState
from gateway.sync.keys.state import FOLLOWERS as KEY_FOLLOWERS
from gateway.sync.keys.state import KeyState
from gateway.sync.tethers.tether import FOLLOWERS as TETHER_FOLLOWERS
from gateway.sync.tethers.tether import TetherState
from gateway.upstream.exchange_state import MOVES as EXCHANGE_MOVES
from gateway.upstream.exchange_state import UpstreamExchangeState
from gateway.upstream.messages.response_state import MOVES as RESPONSE_MOVES
from gateway.upstream.messages.response_state import ResponseState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

State = TypeVar("State", bound=Enum)

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "benchmarks" / "README.md",
        ROOT / "tests" / "recordings" / "README.md",
    ]
)
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:gateway|tests|benchmarks|config|docs)/[\w./-]+)(::(test_\w+))?`")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def prose(document: Path) -> str:
    """A document without its blocks of code."""
    return CODE.sub("", document.read_text("utf-8"))


def anchors(document: Path) -> set[str]:
    """The fragments that its headings can be linked with, spelled as GitHub spells them."""
    found: set[str] = set()
    for heading in HEADING.findall(prose(document)):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        again = 1
        while anchor in found:
            anchor = f"{anchor.removesuffix(f'-{again - 1}')}-{again}"
            again += 1
        found.add(anchor)
    return found


def links(document: Path) -> list[str]:
    """What it refers to within the project."""
    return [link for link in LINK.findall(prose(document)) if "://" not in link]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_document_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document not in reached and document.suffix == ".md":
            reached.add(document)
            paths = (link.partition("#")[0] for link in links(document))
            waiting += [(document.parent / path).resolve() for path in paths if path]
    assert set(DOCUMENTS) == reached


def test_anchor_is_spelled_as_github_spells_it(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("# TheEye's job, `/job/:id`\n\n## A run\n\n```\n# no\n```\n\n## A run\n")
    assert anchors(document) == {"theeyes-job-jobid", "a-run", "a-run-1"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_test_that_is_named_exists(document: Path) -> None:
    """As ``tests/sync/test_hold.py``, or with ``::`` and the name of a test in it."""
    for path, _, name in NAMED.findall(document.read_text("utf-8")):
        assert (ROOT / path).exists(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text("utf-8"), name


def test_picture_is_drawn_as_its_source_says_and_names_rooms_that_exist() -> None:
    source = runpy.run_path(str(ROOT / "docs" / "architecture.py"))
    assert source["picture"]() == source["PICTURE"].read_text("utf-8")
    within = {box.text[0] for box in source["BOXES"] if box.fill != source["OUTSIDE"]}
    existing = {path.stem for path in (ROOT / "gateway").rglob("*")}
    assert within - {"gateway: one process"} <= existing


@pytest.mark.parametrize(
    "thing", ["setting", "error", "metric", "field of the access log", "format", "stage", "limit"]
)
def test_steps_name_files_and_what_fails_if_they_are_forgotten(thing: str) -> None:
    page = (ROOT / "docs" / "how-to-add.md").read_text("utf-8")
    (steps,) = re.findall(rf"^## An? {thing}$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    named, _, forgotten = steps.partition("Forgotten steps fail")
    assert NAMED.search(named)
    assert "::test_" in forgotten


def of_events(
    states: Iterable[State], moves: Mapping[str, Mapping[State, State]]
) -> dict[str, set[str]]:
    """Which states may follow each, by a table of events."""
    steps = [step for event in moves.values() for step in event.items()]
    return {
        state.name: {after.name for before, after in steps if before is state is not after}
        for state in states
    }


MACHINES = {
    "The client's connection": {
        state: {connection_state.STATES[number] for number in followers}
        for state, followers in zip(connection_state.STATES, connection_state.MOVES, strict=True)
    },
    "The cycle": {
        state.name: {follower.name for follower in FOLLOWERS[state]} for state in CycleState
    },
    "An idempotency key": {
        state.name: {follower.name for follower in KEY_FOLLOWERS[state]} for state in KeyState
    },
    "A job that is tied to its client": {
        state.name: {follower.name for follower in TETHER_FOLLOWERS[state]} for state in TetherState
    },
    "A WebSocket's tunnel": {
        state.name: {follower.name for follower in TUNNEL_MOVES[state]} for state in TunnelState
    },
    "The upstream exchange": of_events(UpstreamExchangeState, EXCHANGE_MOVES),
    "The upstream's response": of_events(ResponseState, RESPONSE_MOVES),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_states_and_what_they_may_become_are_those_of_the_code(machine: str) -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    section = page.partition(f"### {machine}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.*)\|$", section, re.MULTILINE)
    told = {state: set(re.findall(r"`(\w+)`", followers)) for state, followers in rows}
    assert told == MACHINES[machine]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_example_sends_a_token_in_its_address(document: Path) -> None:
    """Clients show addresses in their error messages."""
    examples = "".join(CODE.findall(document.read_text("utf-8")))
    assert "access_token" not in examples
    assert "Authorization" in examples or "Bearer" not in examples
