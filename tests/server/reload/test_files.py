from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from gateway.config.effective import Effective, SettingsError
from gateway.server.reload.files import (
    MOST_BYTES,
    OFF_SECONDS,
    SETTINGS,
    FileWatch,
    Stamps,
    check_files,
    stamps,
)
from gateway.tasks import Tasks
from tests.support.settings import chosen

if TYPE_CHECKING:
    from pathlib import Path


def test_files_are_those_that_a_reload_reads(tmp_path: Path) -> None:
    names = {
        "identity.secret_file": "secret",
        "listen.tls_cert_file": "cert",
        "upstream.ca_file": "ca",
    }
    config = chosen({key: str(tmp_path / name) for key, name in names.items()})
    (tmp_path / "secret").write_text("s")
    file = tmp_path / "gateway.toml"
    file.write_text("")
    found = stamps(Effective(config, file=file))
    assert {key: stamp is not None for key, stamp in found.items()} == {
        "identity.secret_file": True,
        "listen.tls_cert_file": False,
        SETTINGS: True,
    }
    assert SETTINGS not in stamps(Effective(config))


def test_renewed_volume_of_kubernetes_is_seen_behind_its_links(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text("same")
        os.utime(tmp_path / name / "secret", (1, 1))
    data, secret = tmp_path / "..data", tmp_path / "secret"
    data.symlink_to("first")
    secret.symlink_to("..data/secret")
    settings = Effective(chosen({"identity.secret_file": str(secret)}))
    before = stamps(settings)
    assert stamps(settings) == before
    swapped = tmp_path / "..swapped"
    swapped.symlink_to("second")
    swapped.rename(data)
    assert stamps(settings) != before


async def test_file_that_becomes_readable_or_keeps_its_time_is_another_one(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    os.utime(secret, (1, 1))
    settings = Effective(chosen({"identity.secret_file": str(secret)}))
    found = []
    for mode, text in ((0o200, "one"), (0o600, "one"), (0o600, "two")):
        secret.chmod(mode)
        if text == "two":
            secret.write_text(text)
            os.utime(secret, (1, 1))
        found.append(stamps(settings)["identity.secret_file"])
        # The kernel's clock for files ticks some hundred times a second.
        await asyncio.sleep(0.02)
    assert len(set(found)) == 3


def test_files_that_would_hold_up_all_clients_are_not_read(tmp_path: Path) -> None:
    pipe, large, usual = tmp_path / "pipe", tmp_path / "large", tmp_path / "usual"
    os.mkfifo(pipe)
    large.touch()
    os.truncate(large, MOST_BYTES + 1)
    usual.touch()
    os.truncate(usual, MOST_BYTES)
    check_files({"usual": usual, "missing": tmp_path / "missing", "no path": "\0"})
    with pytest.raises(SettingsError) as refused:
        check_files({"piped": pipe, "usual": usual, "large": large, "folder": tmp_path})
    assert refused.value.problems == [
        f'piped "{pipe}": it is no regular file',
        f'large "{large}": it has more than {MOST_BYTES} bytes',
        f'folder "{tmp_path}": it is no regular file',
    ]


class Watched:
    """Files by hand."""

    def __init__(self, gap_seconds: float) -> None:
        self.gap_seconds = gap_seconds
        self.now: Stamps = {}
        self.seen: Stamps = {}
        self.changes: list[float] = []

    async def changed(self) -> None:
        self.changes.append(asyncio.get_running_loop().time())
        self.seen = self.now

    def watch(self) -> FileWatch:
        return FileWatch(
            lambda: self.gap_seconds, lambda: self.seen, lambda: self.now, self.changed
        )


@pytest.mark.virtual_time
async def test_change_counts_once_and_only_when_it_is_over() -> None:
    files, tasks = Watched(10.0), Tasks()
    tasks.keep(files.watch().run, name="watch")
    await asyncio.sleep(25)
    assert files.changes == []
    for at in range(3):
        # Between two looks each.
        files.now = {"a": None, str(at): None}
        await asyncio.sleep(10)
    assert files.changes == []
    await asyncio.sleep(100)
    assert files.changes == [60.0]
    files.now = {}
    await asyncio.sleep(100)
    assert len(files.changes) == 2
    await tasks.aclose()


@pytest.mark.virtual_time
async def test_nothing_is_looked_at_without_a_gap_until_there_is_one() -> None:
    files, tasks = Watched(0.0), Tasks()
    tasks.keep(files.watch().run, name="watch")
    files.now = {"a": None}
    await asyncio.sleep(1000)
    assert files.changes == []
    files.gap_seconds = 1.0
    await asyncio.sleep(OFF_SECONDS + 3)
    assert len(files.changes) == 1
    await tasks.aclose()
