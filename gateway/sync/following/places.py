"""Places for jobs that are followed: bounded in all and for each client, and shared fairly. Pure.

Where all places are taken the organization that has most of them gives one up, of it the client
that has most, of that its oldest. So who takes many takes them from itself, also with many tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.sync.jobs.listing import MAX_JOBS

if TYPE_CHECKING:
    from gateway.sync.kept.result_key import ResultKey

CLIENT_SHARE = 4
"""One client has no more than this part of the places, nor more than one list can have of its jobs:
so its jobs cost one request at a time."""


class Owner(NamedTuple):
    """For whom a job is followed."""

    organization: str
    client: bytes
    """As ``JobAccess.client``."""


class FollowedPlaces:
    """``most`` in all, at least 1."""

    def __init__(self, most: int) -> None:
        self._bound(most)
        self._owners: dict[ResultKey, Owner] = {}
        self._jobs: dict[str, dict[bytes, dict[ResultKey, None]]] = {}
        """By organization and client; the oldest first."""

    def __len__(self) -> int:
        return len(self._owners)

    def reconfigure(self, most: int) -> list[ResultKey]:
        """Have so many; the jobs that give theirs up for that."""
        self._bound(most)
        losers = []
        for owner in dict.fromkeys(self._owners.values()):
            while len(own := self._of(owner)) > self._most_of_one:
                losers.append(self._lost(next(iter(own))))
        while len(self._owners) > most:
            losers.append(self._lost(self._of_most()))
        return losers

    def take(self, key: ResultKey, owner: Owner) -> ResultKey | None:
        """Take a place for a job that has none; the job that gives its own up for that, if any."""
        loser = self._loser(owner)
        if loser is not None:
            self.give_back(loser)
        self._owners[key] = owner
        clients = self._jobs.setdefault(owner.organization, {})
        clients.setdefault(owner.client, {})[key] = None
        return loser

    def give_back(self, key: ResultKey) -> None:
        """Have no place for the job any more."""
        owner = self._owners.pop(key)
        clients = self._jobs[owner.organization]
        jobs = clients[owner.client]
        del jobs[key]
        if not jobs:
            del clients[owner.client]
        if not clients:
            del self._jobs[owner.organization]

    def _bound(self, most: int) -> None:
        self._most = most
        self._most_of_one = max(1, min(most // CLIENT_SHARE, MAX_JOBS))

    def _lost(self, key: ResultKey) -> ResultKey:
        self.give_back(key)
        return key

    def _of(self, owner: Owner) -> dict[ResultKey, None]:
        """The jobs that have a place for one, the oldest first."""
        return self._jobs.get(owner.organization, {}).get(owner.client, {})

    def _loser(self, owner: Owner) -> ResultKey | None:
        own = self._of(owner)
        if len(own) >= self._most_of_one:
            return next(iter(own))
        return self._of_most() if len(self._owners) >= self._most else None

    def _of_most(self) -> ResultKey:
        """The job that gives its place up where there are too many in all."""
        clients = self._jobs[max(self._jobs, key=self._count)]
        return next(iter(clients[max(clients, key=lambda client: len(clients[client]))]))

    def _count(self, organization: str) -> int:
        return sum(map(len, self._jobs[organization].values()))
