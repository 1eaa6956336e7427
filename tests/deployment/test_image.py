"""The Dockerfile's steps can be run without Docker; each instruction does what it does there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.deployment.tools import ROOT
from tools.dockerfile import stages
from tools.image import IN_METADATA, Stage, largest, size

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    base = tmp_path / "base"
    (base / "etc").mkdir(parents=True)
    return Stage(tmp_path / "stage", base)


def test_every_instruction_of_the_dockerfile_is_known() -> None:
    found = stages((ROOT / "Dockerfile").read_text("utf-8"))
    words = {line.split()[0] for _, *instructions in found for line in instructions}
    assert words - IN_METADATA == {"RUN", "ENV", "WORKDIR", "COPY"}


def test_comments_and_what_stands_before_the_first_stage_are_no_instructions() -> None:
    text = "ARG A=b\n\n# one\nFROM x AS y\nRUN a \\\n    && b\n\n# two\nFROM x\nCMD c\n"
    assert stages(text) == [["FROM x AS y", "RUN a && b"], ["FROM x", "CMD c"]]


def test_instruction_that_is_not_known_is_refused(stage: Stage) -> None:
    with pytest.raises(ValueError, match="ADD a b"):
        stage.run("ADD a b", {})


def test_variable_may_have_its_former_value_in_it(stage: Stage) -> None:
    before = stage.environ["PATH"]
    stage.run("ENV PATH=/opt/gateway/bin:$PATH A=1", {})
    assert stage.environ["PATH"] == f"/opt/gateway/bin:{before}"
    assert stage.environ["A"] == "1"


def test_files_are_copied_into_the_working_folder(stage: Stage) -> None:
    for instruction in ("WORKDIR /build", "COPY pyproject.toml README.md ./", "COPY tools ./tools"):
        stage.run(instruction, {})
    build = stage.root / "build"
    assert {each.name for each in build.iterdir()} == {"pyproject.toml", "README.md", "tools"}
    assert (build / "tools" / "image.py").read_bytes() == (ROOT / "tools/image.py").read_bytes()
    assert not (build / "tools" / "__pycache__").exists()


def test_folder_is_copied_from_an_earlier_stage(stage: Stage, tmp_path: Path) -> None:
    made = stage.root / "opt" / "gateway"
    made.mkdir(parents=True)
    (made / "file").write_bytes(b"12345")
    (made / "link").hardlink_to(made / "file")
    last = Stage(tmp_path / "last", tmp_path / "base")
    last.run("COPY --from=build /opt/gateway /opt/gateway", {"build": stage})
    copied = last.root / "opt" / "gateway"
    assert (copied / "file").read_bytes() == b"12345"
    assert size(made) == size(copied) - 5 == 5


def test_largest_packages_come_first(tmp_path: Path) -> None:
    for name, length in (("a", 1), ("b", 3), ("c", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x" * length)
    (tmp_path / "module.py").write_bytes(b"x" * 9)
    assert largest(tmp_path, 2) == [("b", 3), ("c", 2)]
