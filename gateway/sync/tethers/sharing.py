"""What processes share of their tied jobs, as the settings have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config import Config
    from gateway.sync.tethers.tether import TetherRecord
    from gateway.sync.tethers.tether_scripts import Claim

RENEWALS: Final = 3
"""How often within ``abandon_seconds`` it is told that somebody waits."""


class Shared(Protocol):
    """What several processes know together of tied jobs. Methods raise TethersUnknown."""

    async def open(self, job_id: str, record: TetherRecord) -> None:
        """Let all know of a job that is tied from now on."""
        raise NotImplementedError

    async def look(self, job_id: str, creator: bytes) -> TetherRecord | None:
        """What is known of a job. If ``creator`` is its creator, somebody was just seen."""
        raise NotImplementedError

    async def renew(self, job_ids: Sequence[str]) -> None:
        """Somebody is seen to wait for each of these."""
        raise NotImplementedError

    async def let_go(self, job_id: str) -> None:
        """The job is not cancelled, until its creator comes again."""
        raise NotImplementedError

    async def claim(self, job_id: str, unseen_seconds: float) -> Claim:
        """Claim a job that nobody was seen to wait for, for so long; with 0 in any case."""
        raise NotImplementedError

    async def end(self, job_id: str) -> None:
        """Forget a job."""
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


def patience(abandon_seconds: float, *, has_others: bool) -> float:
    """How long after somebody was last seen a job is taken to be abandoned. Others tell only so
    often that somebody waits, so the last time counts for so much longer."""
    return abandon_seconds * (1 + 1 / RENEWALS) if has_others else abandon_seconds


def shared_tethers(
    config: Config, clock: Callable[[], float], chance: Callable[[], float]
) -> Shared | None:
    """What the processes of an installation share; None where each is by itself."""
    if not config.redis.url:
        return None
    from gateway.sync.tethers.redis_tethers import RedisTethers  # noqa: PLC0415 - an extra

    return RedisTethers(config.redis, clock, chance)


def obstacle(config: Config) -> str:
    """Why no job can be tied, empty where it can: a redirect leads to any worker."""
    is_alone = config.listen.workers == 1 or bool(config.redis.url)
    return "" if is_alone else "several workers need redis.url for that"


def wants_cancelling(config: Config) -> list[str]:
    """The settings by which jobs are cancelled."""
    names = ("on_timeout", "on_disconnect")
    return [f"sync.{name}" for name in names if getattr(config.sync, name) == "cancel"]
