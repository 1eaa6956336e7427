"""The files that settings stand in, and those that settings name: which of them are other ones."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from gateway.config.changes import RESTART_TABLES, value_of
from gateway.config.effective import SettingsError
from gateway.config.tree import settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from gateway.config import Config
    from gateway.config.effective import Effective

SETTINGS = "the settings file"
OFF_SECONDS = 5.0
"""The gap between two looks whether files are to be watched."""
MOST_BYTES = 4 * 1024 * 1024
"""Of a file that is read while clients are served."""
_NAMES_A_FILE = "_file"


class Stamp(NamedTuple):
    """What tells a file from the one that was there before, behind all symbolic links: Kubernetes
    renews a volume by another link."""

    path: str
    device: int
    inode: int
    size: int
    modified: int
    """In nanoseconds since 1970, as the next one, which nobody can choose: it tells also that a
    file has become readable, or was written with the former time."""
    changed: int


Stamps = dict[str, Stamp | None]
"""By the dotted key of the setting that names the file, or ``SETTINGS``; None where it cannot be
looked at."""


def named_files(config: Config) -> Mapping[str, str]:
    """The files that a reload reads again, by the settings that name them."""
    keys = [key for key in settings() if key.endswith(_NAMES_A_FILE)]
    return {
        key: path
        for key in keys
        if key.partition(".")[0] not in RESTART_TABLES and (path := str(value_of(config, key)))
    }


def stamps(effective: Effective) -> Stamps:
    """The files as they are at this moment."""
    found = {key: stamp(path) for key, path in named_files(effective.config).items()}
    if effective.file is not None:
        found[SETTINGS] = stamp(effective.file)
    return found


def check_files(paths: Mapping[str, str | Path]) -> None:
    """Hold files to what can be read at once, for nobody is served meanwhile; ``paths`` by what is
    told of them. What cannot be looked at is left to whoever reads it.

    Raises:
        SettingsError: one is no regular file, or too large.
    """
    found = {name: _unfitness(path) for name, path in paths.items()}
    if problems := [f'{name} "{paths[name]}": {why}' for name, why in found.items() if why]:
        raise SettingsError(problems)


def _unfitness(path: str | Path) -> str:
    """Why a file cannot be read at once, empty if it can."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ""
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    return f"it has more than {MOST_BYTES} bytes" if status.st_size > MOST_BYTES else ""


def stamp(path: str | Path) -> Stamp | None:
    """A file as it is at this moment."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    of_content = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    return Stamp(str(path), *of_content, status.st_ctime_ns)


class FileWatch:
    """Calls ``on_change`` when files are other ones than were ``seen`` at the last reload, and the
    same in two looks: so that none is taken that is still being written. ``gap_seconds`` tells the
    time between two looks, 0 for none."""

    def __init__(
        self,
        gap_seconds: Callable[[], float],
        seen: Callable[[], Stamps],
        now: Callable[[], Stamps],
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self._gap_seconds = gap_seconds
        self._seen = seen
        self._now = now
        self._on_change = on_change

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        before: Stamps | None = None
        while True:
            gap = self._gap_seconds()
            await asyncio.sleep(gap or OFF_SECONDS)
            if not gap:
                before = None
                continue
            found = self._now()
            if found != self._seen() and found == before:
                await self._on_change()
            before = found
