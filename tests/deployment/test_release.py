"""A release is made from one plan, which can be read before, and what it makes can be installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway import __version__
from tests.deployment.tools import ROOT, run, tool
from tools.release import bill, complete, plan, remaining, sums, unfit, version_of

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-01\n\n### Added\n\n- All.\n"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def test_nothing_stands_against_a_commit_whose_changelog_names_its_version() -> None:
    assert unfit("1.2.3", CHANGELOG, [], ["v1.2.2"]) == []


@pytest.mark.parametrize(
    ("version", "changelog", "changed", "tags", "said"),
    [
        ("1.2.3rc1", CHANGELOG, [], [], "three numbers"),
        ("1.2.4", CHANGELOG, [], [], "no section [1.2.4]"),
        ("1.2.3", CHANGELOG.replace("ed]\n", "ed]\n\n- More.\n"), [], [], "under Unreleased"),
        ("1.2.3", CHANGELOG, ["setup.py"], [], "setup.py"),
        ("1.2.3", CHANGELOG, [], ["v1.2.3"], "tag v1.2.3"),
    ],
)
def test_what_stands_against_a_release_is_said(
    version: str, changelog: str, changed: list[str], tags: list[str], said: str
) -> None:
    assert any(said in each for each in unfit(version, changelog, changed, tags))


def test_version_is_the_gateways() -> None:
    assert version_of(ROOT) == __version__


def test_plan_makes_source_wheels_bill_and_chart() -> None:
    steps = plan("1.2.3", "all", "bin", "tools", "7")
    assert [Path(step.command[0]).name for step in steps] == [
        "uv",
        "cibuildwheel",
        "cyclonedx-py",
        "helm",
    ]
    assert all(step.environ["SOURCE_DATE_EPOCH"] == "7" for step in steps)
    assert "dist/theeye-sync-gateway-1.2.3.cdx.json" in steps[2].command
    assert not any("v1.2.3" in word for step in steps for word in step.command)
    assert any("git tag --annotate v1.2.3" in line for line in remaining("1.2.3"))


def test_compiled_wheel_for_this_machine_needs_no_docker() -> None:
    here = plan("1.2.3", "here", "bin", "tools", "7")
    assert [step.environ.get("GATEWAY_COMPILE") for step in here] == [None, "1", None, None]
    assert not any("cibuildwheel" in step.command[0] for step in here)
    assert len(plan("1.2.3", "none", "bin", "tools", "7")) == len(here) - 1


def test_checksums_are_those_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "b.whl").write_bytes(b"b")
    (tmp_path / "a.tar.gz").write_bytes(b"a")
    (tmp_path / "SHA256SUMS").write_text(sums(tmp_path))
    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, capture_output=True, check=False
    )
    assert checked.stdout.decode().splitlines() == ["a.tar.gz: OK", "b.whl: OK"]
    assert sums(tmp_path) == (tmp_path / "SHA256SUMS").read_text()


def test_dry_run_says_the_plan_and_does_nothing() -> None:
    before = sorted((ROOT / "dist").glob("*"))
    ran = subprocess.run(
        [sys.executable, "-m", "tools.release", "--dry"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith(f"theeye-sync-gateway {__version__}\n")
    for what in ("uv build", "cibuildwheel", "cyclonedx-py", "helm package", "by hand: git tag"):
        assert what in ran.stdout
    assert sorted((ROOT / "dist").glob("*")) == before


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plain build's, made where nothing else is left behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("gateway", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        os.symlink(ROOT / name, folder / name)
    made = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*made, "--wheel-dir", folder / "dist", "."], cwd=folder, check=True)
    (found,) = (folder / "dist").iterdir()
    return found


@pytest.mark.deployment
def test_wheel_alone_has_the_command_and_all_modules(wheel: Path, tmp_path: Path) -> None:
    """What else it needs is lent by this environment."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    bare = tmp_path / "venv" / "bin"
    subprocess.run(
        [*PIP, "--python", bare / "python", "install", "--no-deps", "--no-index", wheel],
        check=True,
    )
    lent = [path for path in sys.path if path.endswith("site-packages")]
    for arguments in (["--help"], ["--version"], ["settings"], ["check"]):
        ran = subprocess.run(
            [bare / "theeye-sync-gateway", *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(lent)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout


@pytest.mark.deployment
def test_bill_of_materials_names_all_that_the_lock_does(tmp_path: Path) -> None:
    program, *arguments = bill(__version__, str(tool(".")))
    ran = run(tool("venv/bin/cyclonedx-py"), *arguments[:-1], str(tmp_path / "bill.json"))
    assert program.endswith("cyclonedx-py")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(complete((tmp_path / "bill.json").read_text("utf-8"), __version__))
    assert found["metadata"]["component"]["name"] == "theeye-sync-gateway"
    assert found["metadata"]["component"]["version"] == __version__
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==([^\s;]+)", lock, re.MULTILINE))
    assert {(each["name"], each["version"]) for each in found["components"]} == locked
    assert all(each["externalReferences"][0]["hashes"] for each in found["components"])


@pytest.mark.deployment
def test_compiled_wheels_are_for_each_python_that_is_named() -> None:
    ran = run(
        tool("venv/bin/cibuildwheel"),
        *("--print-build-identifiers", "--platform", "linux", str(ROOT)),
    )
    assert ran.returncode == 0, ran.stderr
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [each.rpartition(" 3.")[2] for each in project["classifiers"] if " 3." in each]
    assert set(ran.stdout.split()) == {
        f"cp3{minor}-{kind}_{processor}"
        for minor in named
        for kind in ("manylinux", "musllinux")
        for processor in ("x86_64", "aarch64")
    }


@pytest.mark.deployment
def test_wheel_runs_by_uvx(wheel: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            *(Path(sys.executable).parent / "uv", "tool", "run", "--from", wheel),
            *("theeye-sync-gateway", "--version"),
        ],
        cwd=tmp_path,
        env={**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0 and "CI" not in os.environ:
        pytest.skip("what the gateway stands on cannot be had")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"theeye-sync-gateway {__version__} (interpreted)\n"
