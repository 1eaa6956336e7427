"""The settings in force, as a hash, and what came of having them read again."""

from __future__ import annotations

import hashlib
from functools import reduce
from typing import TYPE_CHECKING

from gateway.config.tree import settings
from gateway.wording import shown

if TYPE_CHECKING:
    from gateway.config import Config

HASH_CHARACTERS = 12


class Reloads:
    """Counts them; whoever reloads says what came of it. ``config`` is in force at the start."""

    def __init__(self, config: Config) -> None:
        self.hash = config_hash(config)
        """That of the settings in force."""
        self.taken = 0
        self.refused = 0
        self.was_taken = True
        """The last one was; True before the first."""

    def take(self, config: Config) -> None:
        """All was taken up; ``config`` is in force."""
        self.taken += 1
        self.was_taken = True
        self.hash = config_hash(config)

    def refuse(self) -> None:
        """Something was wrong, and was left as it was."""
        self.refused += 1
        self.was_taken = False


def config_hash(config: Config) -> str:
    """A hash that is equal for equal settings; secrets, and those in addresses, do not count."""
    lines = [
        f"{key} = {shown(reduce(getattr, key.split('.'), config))}"
        for key, setting in settings().items()
        if not setting.is_secret
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:HASH_CHARACTERS]
