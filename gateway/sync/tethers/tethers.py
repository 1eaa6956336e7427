"""Jobs that are tied to the clients that created them, and the requests that wait for them here.

A client that goes on may do so in any process that shares the same Redis. So each request that
waits for a tied job is told to all (``tidings``); whoever finds that nobody has waited here for a
while asks first whether somebody does elsewhere, and is then the only one that cancels. A token is
in memory alone, and only of a job's creator, until the job is over or its creator is let go.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.errors import BadRequest, Overloaded
from gateway.sync.jobs.access import JobAccess, credentials, job_access
from gateway.sync.tethers.sharing import patience
from gateway.sync.tethers.tether import (
    Departure,
    Presence,
    Tether,
    TetherRecord,
    TetherState,
    creator_hash,
    hindrance,
    holder_of,
    remembered,
)
from gateway.sync.tethers.wish import NO_WISH, Wish, is_wishless, wish_of
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config import SyncConfig
    from gateway.downstream.exchange import Exchange
    from gateway.errors import Field
    from gateway.protocols.theeye.job import Job
    from gateway.sync.tethers.abandonment import Abandonment
    from gateway.sync.tethers.tidings import Tidings

MAX_TETHERS: Final = 10_000
"""Jobs that are tied here at once. For one more no job is created."""
CLOSE_SECONDS: Final = 1.0
"""Time for what is being found out when this process ends."""
_LET_GO: Final = frozenset({Departure.TIMED_OUT, Departure.TOLD})
_RETRY_SOON: Final[Field] = (b"Retry-After", b"1")


class Tethers:
    """``obstacle``: why the settings allow no job to be tied, empty where they do. ``most``: how
    many are tied here at once."""

    def __init__(
        self,
        abandonment: Abandonment,
        tidings: Tidings,
        clock: Callable[[], float],
        config: SyncConfig,
        *,
        obstacle: str = "",
        most: int = MAX_TETHERS,
    ) -> None:
        self._abandonment = abandonment
        self._tidings = tidings
        self._config = config
        self._obstacle = obstacle
        self._most = most
        self._seconds = patience(config.abandon_seconds, has_others=tidings.has_others)
        self._tethers: dict[str, Tether] = {}
        self._known, self._untied = remembered(clock)
        self._tasks = Tasks()
        self._is_draining = False

    def __len__(self) -> int:
        return len(self._tethers)

    def reconfigure(self, config: SyncConfig) -> None:
        """Have other wishes for jobs to come, and another patience with those that are tied."""
        self._config = config
        self._seconds = patience(config.abandon_seconds, has_others=self._tidings.has_others)
        self._abandonment.reconfigure(config.abandon_seconds)
        self._tidings.reconfigure(config.abandon_seconds)

    def wish(self, exchange: Exchange, *, by_secret: bool) -> Wish:
        """What a request wants of the job that it is to create.

        Raises:
            BadRequest: it wants what cannot be, or says it wrongly.
            Overloaded: so many jobs are tied that there can be no other.
        """
        if is_wishless(exchange.client, self._config):
            return NO_WISH
        obstacle = hindrance(exchange, by_secret=by_secret) or self._obstacle
        wish = wish_of(exchange.client, self._config, obstacle)
        if wish.on_disconnect and len(self._tethers) >= self._most:
            message = "Too many jobs are to be cancelled when their clients leave"
            raise Overloaded(message, fields=(_RETRY_SOON,))
        return wish

    async def tie(self, exchange: Exchange, job: Job, wish: Wish, *, workflow_id: str = "") -> None:
        """Tie a job that was just created to its creator, before anybody is told of it."""
        key, holder = job.id.lower(), holder_of(exchange.identity)
        record = TetherRecord(creator_hash(holder, key), wish)
        record = await self._tidings.opened(key, record)
        if record.wish.is_any:
            self._known[key] = record
        if not record.wish.on_disconnect or self._is_draining:
            return
        customer = job.customer_name or exchange.identity.customer or self._config.default_customer
        token = credentials(exchange.query, exchange.client.fields)
        client = exchange.identity.key
        access = JobAccess(job.id, customer, token, workflow_id=workflow_id, client=client)
        tether = self._tethers[key] = Tether(key, record, access, holder)
        self._loosen(tether, self._seconds)

    def enter(
        self,
        exchange: Exchange,
        job_id: str,
        *,
        workflow_id: str = "",
        is_first: bool = False,
    ) -> Presence | None:
        """A request comes to wait for a job; call ``leave`` at its end. None where the job is tied
        to nobody. ``is_first``: the job was created just now, for this request."""
        key = job_id.lower()
        tether = self._tethers.get(key)
        record = self._known.get(key) if tether is None else tether.record
        if record is None:
            if not self._tidings.has_others or key in self._untied:
                return None
            if is_first:
                self._untied[key] = True
                return None
        try:
            access = job_access(
                job_id,
                exchange.query,
                exchange.client.fields,
                exchange.identity,
                self._config.default_customer,
                workflow_id=workflow_id,
            )
        except BadRequest:
            return None  # it will not wait
        presence = Presence(key, exchange, access, holder_of(exchange.identity), record)
        if record is not None:
            self._known[key] = record
            self._attach(presence)
        if self._tidings.has_others and (record is None or presence.is_creators):
            self._tasks.spawn(self._look(presence), name="look for a tether")
        return presence

    def leave(self, presence: Presence, departure: Departure) -> None:
        """It has ended so."""
        presence.departure = departure
        self._note_free(presence)
        if presence.record is not None:
            self._left(presence, departure)

    def start(self) -> None:
        self._tidings.start(self._held)

    def drain(self) -> None:
        """Leave all to others: whoever waits here is about to come to them."""
        self._is_draining = True
        for tether in self._tethers.values():
            if tether.timer is not None:
                tether.timer.cancel()
        self._tidings.renew(list(self._tethers))

    async def aclose(self) -> None:
        self._is_draining = True
        await self._tasks.aclose(CLOSE_SECONDS)
        for tether in list(self._tethers.values()):
            self._over(tether)
        await self._tidings.aclose()

    def _attach(self, presence: Presence) -> None:
        record = presence.record
        if record is None or not record.wish.on_disconnect or self._is_draining:
            return
        tether = self._tethers.get(presence.job_id)
        if tether is None:
            tether = self._tethers[presence.job_id] = Tether(presence.job_id, record)
        tether.present[presence] = None
        if presence.is_creators:
            tether.access, tether.holder = presence.access, presence.holder
            tether.is_let_go = False
            if tether.state is TetherState.LOOSE:
                tether.move(TetherState.HELD)

    def _left(self, presence: Presence, departure: Departure) -> None:
        tether = self._tethers.get(presence.job_id)
        if tether is not None:
            tether.present.pop(presence, None)
        if departure is Departure.ENDED:
            self._end(presence.job_id)
        elif presence.is_to_cancel:
            if tether is not None:
                tether.move(TetherState.CANCELLING)
            self._tasks.spawn(self._cancel(presence), name="cancel after a timeout")
        elif self._is_draining or departure is Departure.DRAINED:
            return
        elif presence.counts and tether is not None:
            self._lost(tether, presence, departure)

    def _lost(self, tether: Tether, presence: Presence, departure: Departure) -> None:
        """Somebody who counts has left a job that goes on."""
        if presence.is_creators:
            tether.is_let_go = departure in _LET_GO
            tether.access = None if tether.is_let_go else presence.access
            if tether.is_let_go:
                self._tidings.let_go(tether.job_id)
        if tether.state is TetherState.CANCELLING or tether.is_held:
            return
        if not tether.is_let_go:
            self._tidings.renew([tether.job_id])
        if tether.access is None:
            self._over(tether)
        else:
            self._loosen(tether, self._seconds)

    def _loosen(self, tether: Tether, seconds: float) -> None:
        tether.move(TetherState.LOOSE)
        if self._is_draining:
            return
        tether.timer = asyncio.get_running_loop().call_later(seconds, self._judge_soon, tether)

    def _judge_soon(self, tether: Tether) -> None:
        self._tasks.spawn(self._judge(tether), name="judge a tether")

    async def _judge(self, tether: Tether) -> None:
        if self._is_draining or tether.state is not TetherState.LOOSE:
            return
        if tether.is_held:
            tether.move(TetherState.HELD)
            return
        tether.move(TetherState.CANCELLING)
        seconds = None
        try:
            seconds = await self._abandonment.judged(tether)
        finally:
            self._judged(tether, seconds)

    def _judged(self, tether: Tether, seconds: float | None) -> None:
        """Go on after so many seconds; None: it is over."""
        if tether.is_over:
            return
        if seconds is None:
            self._known.pop(tether.job_id, None)
            self._over(tether)
        elif tether.is_held:
            tether.move(TetherState.HELD)
        else:
            self._loosen(tether, seconds)

    async def _cancel(self, presence: Presence) -> None:
        await self._abandonment.timed_out(presence)
        self._end(presence.job_id)

    def _end(self, job_id: str) -> None:
        """The job is over."""
        self._known.pop(job_id, None)
        self._untied[job_id] = True
        tether = self._tethers.get(job_id)
        if tether is not None:
            self._over(tether)
        self._tidings.end(job_id)

    def _over(self, tether: Tether) -> None:
        tether.move(TetherState.OVER)
        tether.access = None
        if self._tethers.get(tether.job_id) is tether:
            del self._tethers[tether.job_id]

    async def _look(self, presence: Presence) -> None:
        """Find out whether the job is tied, and tell that its creator is here."""
        was_known = presence.record is not None
        found = await self._tidings.look(presence)
        if was_known or found is None:
            return
        if found.record is None:
            presence.is_free = True
            self._note_free(presence)
            return
        self._known[presence.job_id] = presence.record = found.record
        self._attach(presence)
        if presence.departure is not None:
            self._left(presence, presence.departure)

    def _note_free(self, presence: Presence) -> None:
        if presence.is_free and presence.counts:
            self._untied[presence.job_id] = True

    def _held(self) -> list[str] | None:
        """The jobs that are waited for here; None where none is tied."""
        if not self._tethers:
            return None
        return [key for key, tether in self._tethers.items() if tether.is_held]
