"""Reads the settings again, and has them taken up: whole, or not at all.

Refused is what could not be started with, and what would contradict a setting that stays as it was
until a restart. A certificate and its key are renewed one after the other, so what is wrong with
them is looked at some times before it is refused.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from gateway.config.changes import changes
from gateway.config.effective import SettingsError
from gateway.server.reload.files import (
    SETTINGS,
    FileWatch,
    Stamp,
    Stamps,
    check_files,
    named_files,
    stamps,
)
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import Config
    from gateway.config.changes import Changes
    from gateway.config.effective import Effective

_log = logging.getLogger("gateway")
TRIES = 8
"""Of a reload that fails for what may be right in a moment."""
TRY_SECONDS = 0.5
"""The gap between two of them."""


class Taking(Protocol):
    """Whoever runs by the settings: this process, or its workers."""

    async def take(self, config: Config) -> None:
        """Go on by these.

        Raises:
            SettingsError: they cannot be used; nothing is changed.
        """
        raise NotImplementedError

    def refused(self) -> None:
        """Note that others were wanted and could not be used."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload came to, in dotted keys of settings."""

    changed: Sequence[str]
    read_again: Sequence[str]
    """Those that name a file which is another one."""
    needs_restart: Sequence[str]
    """Those that are other ones, and stay as they were until a restart."""

    def __str__(self) -> str:
        told = [
            f"{said}: {', '.join(keys)}"
            for said, keys in (
                ("changed", self.changed),
                ("read again", self.read_again),
                ("stays until a restart", self.needs_restart),
            )
            if keys
        ]
        return "; ".join(told) or "nothing has changed"


class Reloader:
    """``settings`` are those in force. Within the block of ``reloading`` others are read. One
    reload is under way at a time."""

    def __init__(
        self,
        settings: Effective,
        taking: Taking,
        *,
        reloading: Callable[[], AbstractContextManager[None]] = nullcontext,
        tries: int = TRIES,
        try_seconds: float = TRY_SECONDS,
    ) -> None:
        self.settings = settings
        self._taking = taking
        self._reloading = reloading
        self._tries = tries
        self._try_seconds = try_seconds
        self._turn = asyncio.Lock()
        self._is_asked = False
        self._seen = stamps(settings)
        self._taken = self._seen
        self._tasks = Tasks()
        self._watch = FileWatch(
            lambda: self.settings.config.admin.watch_seconds,
            lambda: self._seen,
            lambda: stamps(self.settings),
            self._on_change,
        )

    def watch(self) -> None:
        """Reload when a file changes, as often as the settings have it."""
        self._tasks.keep(self._watch.run, name="watch files")

    def reload_soon(self, why: str) -> None:
        """Reload once what is under way is over; it is only logged what comes of it."""
        if not self._is_asked:
            self._is_asked = True
            self._tasks.spawn(self._asked(why), name="reload")

    async def reload(self, why: str) -> Reloaded:
        """Reload, and log what comes of it; ``why`` is who wants it.

        Raises:
            SettingsError: with all problems; all is as it was.
        """
        async with self._turn:
            return await self._whole(why)

    async def aclose(self) -> None:
        """Reload no more."""
        await self._tasks.aclose()

    async def _asked(self, why: str) -> None:
        async with self._turn:
            # Who asks from now on may have changed what is read already.
            self._is_asked = False
            with suppress(SettingsError):
                await self._whole(why)

    async def _on_change(self) -> None:
        with suppress(SettingsError):
            await self.reload("a file has changed")

    async def _whole(self, why: str) -> Reloaded:
        with self._reloading():
            try:
                reloaded = await self._tried()
            except SettingsError as failure:
                self._taking.refused()
                _log.error("not reloaded (%s), all stays as it was: %s", why, failure)
                raise
        _log.info("reloaded (%s): %s", why, reloaded)
        return reloaded

    async def _tried(self) -> Reloaded:
        for _ in range(self._tries - 1):
            try:
                return await self._once()
            except SettingsError as failure:
                if not failure.may_pass:
                    raise
            await asyncio.sleep(self._try_seconds)
        return await self._once()

    async def _once(self) -> Reloaded:
        running = self.settings
        # What changes from here on is seen as another change.
        self._seen = stamps(running)
        if running.file is not None:
            check_files({SETTINGS: running.file})
        wanted = running.again()
        made = changes(running.config, wanted.config)
        if made.waiting and (problems := wanted.problems(made.config)):
            waiting = ", ".join(made.waiting)
            raise SettingsError([f"{problem} ({waiting}: until a restart)" for problem in problems])
        check_files(named_files(made.config))
        await self._taking.take(made.config)
        self.settings = replace(wanted, config=made.config, origins=_origins(running, wanted, made))
        self._seen = _seen_of(stamps(self.settings), self._seen)
        before, self._taken = self._taken, self._seen
        renewed = [
            key
            for key, stamp in self._taken.items()
            if key not in {SETTINGS, *made.changed} and before.get(key) != stamp
        ]
        return Reloaded(made.changed, renewed, made.waiting)


def _seen_of(now: Stamps, before: Stamps) -> Stamps:
    """The files that there are now, as they were before they were read."""

    def seen(key: str, stamp: Stamp | None) -> Stamp | None:
        former = before.get(key)
        is_same = stamp is not None and former is not None and former.path == stamp.path
        return former if is_same else stamp

    return {key: seen(key, stamp) for key, stamp in now.items()}


def _origins(running: Effective, wanted: Effective, made: Changes) -> dict[str, str]:
    """Where each value in force stands."""
    staying = {key: running.origins[key] for key in made.waiting if key in running.origins}
    given = {key: where for key, where in wanted.origins.items() if key not in made.waiting}
    return {**given, **staying}
