"""Run the Dockerfile's steps in a chroot of Debian, without Docker: ``make image``, as root.

The base, python:3.13-slim, is Debian 13 with a CPython 3.13 of its own; here it is Debian 13 with
Debian's CPython 3.13. So the steps run as they do in Docker, and what the last stage copies has the
size that it has there. Nothing of the base's own size can be learned from that.

    debootstrap ──► base ──copy──► build: RUN, COPY, ENV ... ──/opt/gateway──► image: base + that
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools.dockerfile import stages

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "build" / "image"
SUITE, PACKAGES = "trixie", "python3,python3-dev,python3-pip,python3-venv,ca-certificates"
OF_HOST = ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt")
"""Files by which the steps reach Debian's and Python's registries, as far as this machine does."""
ENVIRON = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    # Debian's pip installs beside Debian's packages only where it is told to.
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}
IN_METADATA = frozenset(
    {"ARG", "CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "STOPSIGNAL", "USER"}
)
"""Instructions that change no file."""


class Stage:
    """One stage's files under ``root``, and the environment its steps have."""

    def __init__(self, root: Path, base: Path) -> None:
        self.root = root
        self.environ = dict(ENVIRON)
        self._folder = "/"
        subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(root)], check=True)

    def run(self, instruction: str, earlier: dict[str, Stage]) -> None:
        """Do what one instruction says; ``earlier`` are the stages before, by name.

        Raises:
            ValueError: it is none that is known here.
            CalledProcessError: a step fails.
        """
        word, _, rest = instruction.partition(" ")
        if word == "RUN":
            command = ["chroot", str(self.root), "sh", "-ec", f"cd {self._folder}; {rest}"]
            subprocess.run(command, env=self.environ, check=True)
        elif word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                self.environ[name] = value.replace(f"${name}", self.environ.get(name, ""))
        elif word == "WORKDIR":
            self._folder = rest
            self._inner(rest).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            self._copy(rest.split(), earlier)
        elif word not in IN_METADATA:
            raise ValueError(f"an instruction that is not known here: {instruction}")

    def _copy(self, words: list[str], earlier: dict[str, Stage]) -> None:
        source = ROOT
        if words[0].startswith("--from="):
            source = earlier[words.pop(0).removeprefix("--from=")].root
        *names, last = words
        target = self._inner(os.path.join(self._folder, last))
        for name in names:
            found = source / name.lstrip("/")
            if found.is_dir():
                shutil.copytree(
                    found,
                    target,
                    symlinks=True,
                    dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__") if source is ROOT else None,
                )
            else:
                shutil.copy2(found, target / Path(name).name if last.endswith("/") else target)

    def _inner(self, path: str) -> Path:
        return self.root / path.lstrip("/")


def base_system(place: Path) -> Path:
    """A Debian with Python, made once."""
    base = place / "base"
    if not (base / "usr/bin/python").exists():
        shutil.rmtree(base, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(base)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for name in OF_HOST:
            shutil.copy(f"/{name}", base / name)
        (base / "usr/bin/python").symlink_to("python3")
    return base


def built(dockerfile: str, place: Path) -> Iterator[Stage]:
    """The stages of a Dockerfile, one after the other as they are done."""
    base = base_system(place)
    done: dict[str, Stage] = {}
    for number, (first, *instructions) in enumerate(stages(dockerfile)):
        root = place / f"stage{number}"
        shutil.rmtree(root, ignore_errors=True)
        stage = Stage(root, base)
        for instruction in instructions:
            print(f"  {instruction[:96]}", flush=True)
            stage.run(instruction, done)
        _, _, name = first.partition(" AS ")
        done[name or str(number)] = stage
        yield stage


def size(folder: Path) -> int:
    """Bytes of all files in a folder; one with several names counts once."""
    files = (each.lstat() for each in folder.rglob("*") if not each.is_dir())
    found = {(each.st_ino, each.st_size) for each in files}
    return sum(number for _, number in found)


def largest(packages: Path, most: int) -> list[tuple[str, int]]:
    """The packages that take most, the largest first."""
    sizes = {each.name: size(each) for each in packages.iterdir() if each.is_dir()}
    return sorted(sizes.items(), key=lambda item: -item[1])[:most]


def main() -> int:
    """Build, try what was built, and tell the sizes; the exit status."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("needs root, and debootstrap (apt-get install debootstrap)", file=sys.stderr)
        return 1
    PLACE.mkdir(parents=True, exist_ok=True)
    *_, image = built((ROOT / "Dockerfile").read_text("utf-8"), PLACE)
    image.run("RUN theeye-sync-gateway --version && theeye-sync-gateway check >/dev/null", {})
    gateway = image.root / "opt/gateway"
    print(f"/opt/gateway, all that the image adds to its base: {size(gateway) / 1e6:.1f} MB")
    (packages,) = gateway.glob("lib/python3.*/site-packages")
    for name, number in largest(packages, 8):
        print(f"  {number / 1e6:6.1f} MB  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
