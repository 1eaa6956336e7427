"""The settings in force, and where each was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from gateway.config import Config

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SettingsError(Exception):
    """The settings cannot be used; ``problems`` has one sentence for each reason. ``may_pass``: all
    of them may be over in a moment, as while files are renewed that go together."""

    def __init__(self, problems: Sequence[str], *, may_pass: bool = False) -> None:
        self.problems = list(problems)
        self.may_pass = may_pass
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings in force. Made of a ``config`` alone they are given by nobody."""

    config: Config = field(default_factory=Config)
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Where a value was given, by the dotted key of its setting: ``FILE: KEY``, the name of a
    variable, or an argument. A setting that is not in it has its default."""
    file: Path | None = None
    """The settings file; None where there are only variables and arguments."""
    load: Callable[[], Effective] | None = field(default=None, compare=False, repr=False)
    """Reads all of them; None where they come from nowhere."""

    check: Callable[[Config], Sequence[str]] | None = field(default=None, compare=False, repr=False)
    """Tells what contradicts in settings that are each allowed; None where nobody looks."""

    def problems(self, config: Config) -> Sequence[str]:
        """What keeps these settings from being used, a sentence for each reason."""
        return () if self.check is None else self.check(config)

    def again(self) -> Effective:
        """The settings as they stand at this moment where these came from.

        Raises:
            SettingsError: they cannot be used any more.
        """
        return self if self.load is None else self.load()
