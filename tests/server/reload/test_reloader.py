from __future__ import annotations

import asyncio
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.config import Config
from gateway.config.effective import Effective, SettingsError
from gateway.server.reload.reloader import TRIES, TRY_SECONDS, Reloaded, Reloader
from tests.support.settings import chosen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRONG = SettingsError(["wrong"])
MIXED = SettingsError(["mixed"], may_pass=True)


class Source:
    """Where settings come from, and who takes them."""

    def __init__(self, **values: object) -> None:
        self.values = dict(values)
        self.origins: dict[str, str] = {}
        self.failures: list[SettingsError] = []
        self.untaken: list[SettingsError] = []
        self.contradictions: list[str] = []
        self.file: Path | None = None
        self.loads = 0
        self.taken: list[Config] = []
        self.refusals = 0
        self.told: list[str] = []

    def load(self) -> Effective:
        self.loads += 1
        if self.failures:
            raise self.failures.pop(0)
        config = chosen(self.values)
        return Effective(config, self.origins, self.file, self.load, lambda _: self.contradictions)

    async def take(self, config: Config) -> None:
        await asyncio.sleep(0.01)
        if self.untaken:
            raise self.untaken.pop(0)
        self.taken.append(config)

    def refused(self) -> None:
        self.refusals += 1

    @contextmanager
    def reloading(self) -> Iterator[None]:
        self.told.append("begins")
        yield
        self.told.append("ends")

    def reloader(self) -> Reloader:
        return Reloader(self.load(), self, reloading=self.reloading)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.virtual_time
async def test_settings_are_taken_up_but_for_those_that_need_a_restart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    source = Source()
    reloader = source.reloader()
    source.values = {"limits.holds": 7, "listen.port": 1, "log.level": "debug"}
    source.origins = {"limits.holds": "file: limits.holds", "listen.port": "file: listen.port"}
    reloaded = await reloader.reload("SIGHUP")
    assert reloaded == Reloaded(("limits.holds", "log.level"), [], ("listen.port",))
    [config] = source.taken
    assert config == chosen({"limits.holds": 7, "log.level": "debug"})
    assert reloader.settings.config == config
    assert reloader.settings.origins == {"limits.holds": "file: limits.holds"}
    assert caplog.messages == [
        "reloaded (SIGHUP): changed: limits.holds, log.level; stays until a restart: listen.port"
    ]
    assert source.told == ["begins", "ends"]
    again = await reloader.reload("SIGHUP")
    assert again == Reloaded((), [], ("listen.port",))
    source.values = {"limits.holds": 7, "log.level": "debug"}
    assert await reloader.reload("SIGHUP") == Reloaded((), [], ())
    assert caplog.messages[-1] == "reloaded (SIGHUP): nothing has changed"


@pytest.mark.virtual_time
@pytest.mark.parametrize("stage", ["failures", "untaken"])
async def test_wrong_settings_are_refused_whole_and_the_old_stay(
    stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source()
    reloader = source.reloader()
    source.values = {"limits.holds": 7}
    getattr(source, stage).append(WRONG)
    with pytest.raises(SettingsError):
        await reloader.reload("SIGHUP")
    assert reloader.settings.config == Config()
    assert (source.taken, source.refusals, source.loads) == ([], 1, 2)
    assert caplog.messages == ["not reloaded (SIGHUP), all stays as it was: wrong"]
    assert (await reloader.reload("SIGHUP")).changed == ("limits.holds",)


@pytest.mark.virtual_time
async def test_what_contradicts_a_setting_that_stays_is_refused() -> None:
    source = Source()
    reloader = source.reloader()
    source.values = {"redis.url": "redis://x", "sync.on_timeout": "cancel"}
    source.contradictions = ["sync.on_timeout needs redis.url"]
    with pytest.raises(SettingsError, match=r"needs redis.url \(redis.url: until a restart\)"):
        await reloader.reload("SIGHUP")
    assert source.taken == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("stage", ["failures", "untaken"])
async def test_certificate_whose_key_comes_later_is_tried_again(stage: str) -> None:
    source = Source()
    reloader = source.reloader()
    source.values = {"limits.holds": 7}
    getattr(source, stage).extend([MIXED] * 3)
    began = now()
    assert (await reloader.reload("SIGHUP")).changed == ("limits.holds",)
    assert 3 * TRY_SECONDS <= now() - began < 4 * TRY_SECONDS
    assert source.refusals == 0


@pytest.mark.virtual_time
async def test_certificate_whose_key_never_comes_is_refused_within_seconds() -> None:
    source = Source()
    reloader = source.reloader()
    source.failures = [MIXED] * 1000
    with pytest.raises(SettingsError, match="mixed"):
        await reloader.reload("SIGHUP")
    assert source.loads == 1 + TRIES
    assert now() == TRY_SECONDS * (TRIES - 1) < 5
    assert source.refusals == 1


@pytest.mark.virtual_time
async def test_many_signals_lead_to_one_reload_after_the_one_under_way() -> None:
    source = Source()
    reloader = source.reloader()
    source.failures = [WRONG]
    for _ in range(10):
        reloader.reload_soon("SIGHUP")
    await asyncio.sleep(0.005)
    for _ in range(10):
        reloader.reload_soon("SIGHUP")
    await asyncio.sleep(1)
    assert source.loads - 1 in {2, 3}
    assert source.refusals == 1
    await reloader.aclose()


@pytest.mark.parametrize("is_named", [False, True])
async def test_pipe_is_not_read(tmp_path: Path, is_named: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = Source()
    if not is_named:
        source.file = pipe
    reloader = source.reloader()
    source.values = {"identity.secret_file": str(pipe)}
    with pytest.raises(SettingsError, match="it is no regular file"):
        await reloader.reload("SIGHUP")
    assert source.taken == []
    assert source.loads == 1 + is_named


@pytest.mark.virtual_time
async def test_change_of_a_file_reloads_and_names_it(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    values: dict[str, object] = {"admin.watch_seconds": 1.0, "identity.secret_file": str(secret)}
    source = Source(**values)
    source.file = tmp_path / "gateway.toml"
    source.file.write_text("")
    reloader = source.reloader()
    reloader.watch()
    await asyncio.sleep(10)
    assert source.loads == 1
    secret.write_text("other")
    await asyncio.sleep(10)
    assert source.loads == 2
    source.failures = [WRONG]
    source.file.write_text("wrong")
    await asyncio.sleep(10)
    assert (source.loads, source.refusals) == (3, 1)
    secret.write_text("another one")
    assert (await reloader.reload("SIGHUP")).read_again == ["identity.secret_file"]
    await asyncio.sleep(10)
    assert source.loads == 4, "what was read on a signal is no other file to the watch"
    second = tmp_path / "second"
    second.write_text("two")
    source.values = {**values, "identity.secret_file": str(second)}
    assert await reloader.reload("SIGHUP") == Reloaded(("identity.secret_file",), [], ())
    second.write_text("three")
    await asyncio.sleep(10)
    assert source.loads == 6
    await reloader.aclose()
