"""What the locks ask for can be installed by old and new pips, whatever was released since.

Instead of the real distributions, empty ones of the same names, versions and requirements stand in
a directory, each beside a newer release.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCK = "requirements-dev.lock"
"""All that the other locks name stands in it too: test_packaging.py."""
INSTALLERS = ("Makefile", "README.md", "docs/operations.md", "Dockerfile")
FLAGS = ("--no-deps", "--require-hashes")
PIPS = ("22.0", "23.0", "")
"""The last is the newest."""
NEWER = "999.0"
ENTRY = re.compile(
    r"^(?P<name>[a-z0-9-]+)(?P<extras>\[[a-z0-9,-]+\])?==(?P<version>[^\s;]+)(?P<marker> ;[^\\]*)?",
    re.MULTILINE,
)


def wheel(folder: Path, name: str, version: str) -> str:
    """Make an empty distribution; the SHA-256 of its file."""
    stem = f"{name.replace('-', '_')}-{version}"
    file = folder / f"{stem}-py3-none-any.whl"
    try:
        needed = [f"Requires-Dist: {each}\n" for each in requires(name) or ()]
    except PackageNotFoundError:
        needed = []  # for another system, or another Python
    extras = sorted(set(re.findall(r"extra == ['\"]([\w.-]+)['\"]", "".join(needed))))
    offered = [f"Provides-Extra: {extra}\n" for extra in extras]
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata + "".join(offered + needed))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all that the lock names, something newer of each, and the lock for it."""
    folder = tmp_path_factory.mktemp("index")
    lines: list[str] = []
    for entry in ENTRY.finditer((ROOT / LOCK).read_text("utf-8")):
        made = wheel(folder, entry["name"], entry["version"])
        wheel(folder, entry["name"], NEWER)
        lines.append(f"{entry[0].rstrip()} --hash=sha256:{made}\n")
    (folder / LOCK).write_text("".join(lines), "utf-8")
    return folder


@pytest.fixture(scope="module", params=PIPS, ids=lambda version: version or "newest")
def pip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command that runs this release of pip."""
    if request.param and sys.version_info >= (3, 12):
        pytest.skip("pip before 23.2 does not run on CPython 3.12 and newer")
    wanted = f"pip=={request.param}" if request.param else "pip"
    folder = tmp_path_factory.mktemp("pip")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    got = subprocess.run(
        [*command, "--no-deps", "--dest", folder, wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    if got.returncode != 0 and "CI" not in os.environ:
        pytest.skip(f"{wanted} cannot be had")
    assert got.returncode == 0, got.stderr
    (file,) = folder.iterdir()
    return [sys.executable, str(file / "pip"), "--disable-pip-version-check"]


def install(pip: list[str], index: Path, lock: str, target: Path, *flags: str) -> tuple[int, str]:
    ran = subprocess.run(
        [
            *(*pip, "install", *flags, "--quiet", "--no-index", "--find-links", str(index)),
            *("--no-compile", "--target", str(target), "--requirement", str(index / lock)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull},
    )
    return ran.returncode, ran.stderr


def test_lock_is_installed_as_it_stands_though_all_of_it_has_newer_releases(
    pip: list[str], index: Path, tmp_path: Path
) -> None:
    status, told = install(pip, index, LOCK, tmp_path, *FLAGS)
    assert status == 0, told
    installed = {path.name.rpartition("-")[0] for path in tmp_path.glob("*.dist-info")}
    assert installed
    assert not [path.name for path in tmp_path.glob(f"*-{NEWER}.dist-info")]


def test_old_pip_that_resolves_again_wants_what_the_lock_does_not_have(
    pip: list[str], index: Path, tmp_path: Path
) -> None:
    """Why it is told not to: extras are what pip before 24 looks for anew."""
    bare = (index / LOCK).read_text("utf-8").replace("coverage[toml]==", "coverage==")
    (index / "bare.lock").write_text(bare, "utf-8")
    is_old = any(f"pip-{version}-" in pip[1] for version in PIPS if version)
    status, told = install(pip, index, "bare.lock", tmp_path, "--require-hashes")
    assert (status != 0) is is_old, told
    assert "coverage" in told or not is_old


@pytest.mark.parametrize("name", INSTALLERS)
def test_every_install_from_a_lock_leaves_nothing_to_be_resolved(name: str) -> None:
    joined = re.sub(r"\\\n\s*", "", (ROOT / name).read_text("utf-8"))
    from_locks = re.findall(r"install [^\n&|]*--requirement\b[^\n&|]*", joined)
    assert from_locks
    assert all(flag in each for each in from_locks for flag in FLAGS)


@pytest.mark.parametrize("name", INSTALLERS)
def test_every_build_uses_what_the_locks_brought(name: str) -> None:
    joined = re.sub(r"\\\n\s*", "", (ROOT / name).read_text("utf-8"))
    builds = re.findall(r"(?:install|wheel) [^\n&|]* \.(?:$|\s)", joined, re.MULTILINE)
    assert builds
    assert all("--no-build-isolation" in each and "--no-deps" in each for each in builds)
