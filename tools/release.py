"""Make all files of a release in dist/: ``make release``; ``make release DRY=1`` says what it would
do.

What it makes is what a version and its commit say, and nothing leaves this machine: the last lines
say what remains to be done by a person.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parent.parent
SUMS = "SHA256SUMS"
Wheels = Literal["all", "here", "none"]
"""Compiled wheels: of all that pyproject.toml names, which needs Docker; of this machine; none."""


class Step(NamedTuple):
    """A command, to be run in the project's folder, with what it is for."""

    what: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = {}


def version_of(root: Path) -> str:
    """The gateway's version."""
    text = (root / "gateway" / "__init__.py").read_text("utf-8")
    (found,) = re.findall(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    return str(found)


def unfit(version: str, changelog: str, changed: Sequence[str], tags: Sequence[str]) -> list[str]:
    """What stands against a release.

    ``changed``: files that differ from the commit; ``tags``: those that there are.
    """
    found = []
    if re.fullmatch(r"\d+\.\d+\.\d+", version) is None:
        found.append(f"the version {version} is not three numbers")
    if re.search(rf"^## \[{re.escape(version)}\]", changelog, re.MULTILINE) is None:
        found.append(f"CHANGELOG.md has no section [{version}]")
    unreleased = changelog.partition("## [Unreleased]")[2].partition("\n## [")[0]
    if unreleased.strip():
        found.append("CHANGELOG.md tells of changes under Unreleased: they belong to a version")
    if changed:
        found.append(f"files differ from the commit: {', '.join(changed[:5])}")
    if f"v{version}" in tags:
        found.append(f"there is a tag v{version}: raise __version__ in gateway/__init__.py")
    return found


def plan(version: str, wheels: Wheels, binaries: str, tools: str, epoch: str) -> list[Step]:
    """What makes the files, in this order.

    Args:
        binaries: the folder of the environment's programs.
        tools: the folder that ``make deployment`` has set up.
        epoch: the commit's time, in seconds since 1970, for files that do not differ from build to
            build.
    """
    dated = {"SOURCE_DATE_EPOCH": epoch}
    uv = (f"{binaries}/uv", "build", "--python", f"{binaries}/python", "--no-build-isolation")
    cibuildwheel = (f"{tools}/venv/bin/cibuildwheel", "--platform", "linux", "--output-dir", "dist")
    compiled = {
        "all": [Step("compiled wheels for Linux", cibuildwheel, dated)],
        "here": [
            Step(
                "a compiled wheel for this machine",
                (*uv, "--wheel", "--out-dir", "dist"),
                {**dated, "GATEWAY_COMPILE": "1"},
            )
        ],
        "none": [],
    }
    return [
        Step("source and the plain wheel", (*uv, "--out-dir", "dist"), dated),
        *compiled[wheels],
        Step("what it stands on (SBOM)", bill(version, tools), dated),
        Step(
            "the chart for Helm",
            (f"{tools}/helm/helm", "package", "config/kubernetes/chart", "--destination", "dist"),
            dated,
        ),
    ]


def bill(version: str, tools: str) -> tuple[str, ...]:
    """The command that writes the software bill of materials (CycloneDX) from the lock."""
    return (
        *(f"{tools}/venv/bin/cyclonedx-py", "requirements", "requirements.lock"),
        *("--pyproject", "pyproject.toml", "--mc-type", "application", "--output-reproducible"),
        *("--output-format", "JSON", "--output-file"),
        f"dist/theeye-sync-gateway-{version}.cdx.json",
    )


def remaining(version: str) -> list[str]:
    """What a person does then."""
    return [
        f"git tag --annotate v{version} && git push origin v{version}",
        "docker build --build-arg REVISION=$(git rev-parse HEAD)"
        f" --tag theeye-sync-gateway:{version} .",
        "give dist/ to whoever installs it",
    ]


def sums(folder: Path) -> str:
    """SHA-256 of all files of a folder, as sha256sum prints and checks them."""
    files = sorted(each for each in folder.iterdir() if each.name not in {SUMS, ".gitignore"})
    return "".join(
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in files
    )


def _git(*arguments: str) -> list[str]:
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout.splitlines()


def complete(text: str, version: str) -> str:
    """A bill of materials with the version of what it is the bill of; cyclonedx-py knows only such
    as stand in pyproject.toml.
    """
    found = json.loads(text)
    component = found["metadata"]["component"]
    component["version"] = version
    component["purl"] = f"pkg:pypi/{component['name']}@{version}"
    return json.dumps(found, indent=2, sort_keys=True) + "\n"


def _run(steps: Sequence[Step], *, dry: bool) -> bool:
    """Say and, unless ``dry``, run the steps until one fails; whether all were done."""
    for step in steps:
        environ = [f"{name}={value}" for name, value in step.environ.items()]
        print(f"{step.what}: {' '.join([*environ, *step.command])}", flush=True)
        if dry:
            continue
        ran = subprocess.run(
            step.command, cwd=ROOT, env={**os.environ, **step.environ}, check=False
        )
        if ran.returncode != 0:
            print(f"failed: {step.what}")
            return False
    return True


def _against(version: str) -> list[str]:
    return unfit(
        version,
        (ROOT / "CHANGELOG.md").read_text("utf-8"),
        [line[3:] for line in _git("status", "--porcelain")],
        _git("tag"),
    )


def _complete_bill(version: str) -> None:
    file = ROOT / bill(version, "")[-1]
    file.write_text(complete(file.read_text("utf-8"), version), "utf-8")


def main(arguments: Sequence[str]) -> int:
    """Make the release, or say what would be done. The exit status: 1 if something stands against
    it, or a step fails.
    """
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("--dry", action="store_true", help="only say what would be done")
    parser.add_argument("--wheels", choices=get_args(Wheels), default="all")
    parser.add_argument("--bill", action="store_true", help="only the bill of materials")
    parser.add_argument("--tools", default="build/deployment")
    given = parser.parse_args(arguments)
    version = version_of(ROOT)
    (epoch,) = _git("log", "-1", "--format=%ct") or ["0"]
    steps = plan(version, given.wheels, str(Path(sys.executable).parent), given.tools, epoch)
    dist = ROOT / "dist"
    if given.bill:
        dist.mkdir(exist_ok=True)
        if not _run([step for step in steps if "SBOM" in step.what], dry=given.dry):
            return 1
        if not given.dry:
            _complete_bill(version)
        return 0
    print(f"theeye-sync-gateway {version}")
    against = _against(version)
    for problem in against:
        print(f"stops it: {problem}")
    if not given.dry:
        if against:
            return 1
        shutil.rmtree(dist, ignore_errors=True)
        dist.mkdir()
    if not _run(steps, dry=given.dry):
        return 1
    print(f"checksums: dist/{SUMS}")
    if not given.dry:
        _complete_bill(version)
        (dist / SUMS).write_text(sums(dist), "utf-8")
    for line in remaining(version):
        print(f"by hand: {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
