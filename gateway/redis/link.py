"""A connection to Redis that is made again whenever it fails, and the word of that to operators.

    closed -- somebody asks --> opening --------------> open --+ closed by the other side:
                                 |    ^                 ^ |    | opened once more, in silence
    longer than whoever asks has |    | after a gap     +-|----+
                        patience |    |                   | an error reply, or none in time
                                 v    |                   v
                              failing: nobody asks, one task opens

Nothing waits for a Redis that fails. What several ask for goes one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from gateway.backoff import Backoff
from gateway.redis.connection import Closed, Unusable
from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.config import RedisConfig

FIRST_GAP_SECONDS = 0.25
MAX_GAP_SECONDS = 30.0
LINE_SECONDS = 5.0
"""How long one who asks waits for those before it."""
STEADY_SECONDS = 60.0
"""After answering for so long a new failure counts as the first."""
_log = logging.getLogger(__name__)


class RedisSession(Protocol):
    """A connection, and what is said over it."""

    @property
    def is_tried(self) -> bool:
        """Once it is open commands are known to be carried out."""
        raise NotImplementedError

    async def open(self) -> None:
        """Raises Unusable."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


S = TypeVar("S", bound=RedisSession)
T = TypeVar("T")


class Unanswered(Exception):
    """Redis has not done what it was asked for, or not said so in time."""

    def __init__(self, why: str, *, was_asked: bool = False) -> None:
        super().__init__(why)
        self.was_asked = was_asked
        """It may have done it."""


class RedisLink(Generic[S]):
    """``make`` makes a session that is not open yet. ``clock`` gives monotonic seconds, ``chance``
    numbers from 0 to 1; gaps between attempts grow from the first to the longest. ``works`` and
    ``fails``, which has a place for the reason, are what operators are told.
    """

    def __init__(
        self,
        make: Callable[[RedisConfig], S],
        config: RedisConfig,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        fails: str,
        works: str,
        first_gap_seconds: float = FIRST_GAP_SECONDS,
        max_gap_seconds: float = MAX_GAP_SECONDS,
    ) -> None:
        self._make = make
        self._config = config
        self._clock = clock
        self._chance = chance
        self._fails = fails
        self._works = works
        self._session: S | None = None
        self._turn = asyncio.Lock()
        self._tasks = Tasks()
        self._is_opening = False
        self._attempted = asyncio.Event()
        """An attempt to open is over, however."""
        self.is_answering = True
        """Else nothing is asked: it has failed, or opening takes longer than somebody could
        wait."""
        self.failures = 0
        """How often it has stopped answering."""
        self._trouble = ""
        """What was logged of its failure; empty while it does not fail."""
        self._answers_since = clock()
        self._backoff = Backoff(first_gap_seconds, max_gap_seconds, STEADY_SECONDS)

    async def use(self, ask: Callable[[S], Awaitable[T]], patience_seconds: float) -> T:
        """What ``ask`` gets from an open session; it may be called twice, where the other side has
        closed the connection meanwhile. An open session is waited for as long as the patience
        lasts.

        Raises:
            Unanswered
        """
        was_asked = False
        while True:
            session = self._session or await self._opened(patience_seconds)
            if session is None:
                raise Unanswered(self._trouble or "no connection in time", was_asked=was_asked)
            try:
                async with asyncio.timeout(LINE_SECONDS):
                    await self._turn.acquire()
            except TimeoutError:
                raise Unanswered("too many ask at once", was_asked=was_asked) from None
            try:
                if session is not self._session:
                    continue
                answer = await self._answered(session, ask)
            except Closed as failure:
                if was_asked:
                    self._failed(str(failure))
                    raise Unanswered(self._trouble, was_asked=True) from failure
                was_asked = True
                continue
            except Unusable as failure:
                self._failed(str(failure))
                raise Unanswered(self._trouble, was_asked=True) from failure
            finally:
                self._turn.release()
            self._fine()
            return answer

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._drop()

    async def _answered(self, session: S, ask: Callable[[S], Awaitable[T]]) -> T:
        is_usable = False
        try:
            answer = await ask(session)
            is_usable = True
        finally:
            if not is_usable:
                # Also where this was cancelled: the next one would get its answer.
                await self._drop()
        return answer

    async def _opened(self, patience_seconds: float) -> S | None:
        """A new session; None where it is not to be had, or not as soon as it must."""
        if not self.is_answering:
            return None
        self._open_soon()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await self._attempted.wait()
        if self._session is None:
            self.is_answering = False
        return self._session

    def _open_soon(self) -> None:
        if not self._is_opening:
            self._is_opening = True
            self._attempted.clear()
            self._tasks.keep(self._open, name="connect to Redis")

    async def _open(self) -> None:
        """Connect, again and again with growing gaps after failures."""
        while True:
            if self._trouble:
                await asyncio.sleep(self._backoff.gap(self._chance()))
            session = self._make(self._config)
            try:
                await session.open()
                self._answers(session)
            except Unusable as failure:
                self._failed(str(failure))
            else:
                return
            finally:
                if self._session is not session:
                    await session.close()

    def _answers(self, session: S) -> None:
        self._session = session
        self._is_opening = False
        self.is_answering = True
        self._attempted.set()
        if session.is_tried:
            self._fine()

    def _fine(self) -> None:
        if self._trouble:
            self._trouble = ""
            self._answers_since = self._clock()
            _log.warning(self._works)

    def _failed(self, reason: str) -> None:
        self.is_answering = False
        self._attempted.set()
        if not self._trouble:
            self.failures += 1
            self._backoff.lasted(self._clock() - self._answers_since)
        if reason != self._trouble:
            self._trouble = reason
            _log.warning(self._fails, reason)
        self._open_soon()

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
