"""The workers of a gateway, and what they have in common: sockets, memory, settings, operators.

They share one listening socket, which this process holds: whichever worker is free accepts, and a
connection that waits to be accepted survives the worker it would have gone to. With SO_REUSEPORT
each worker has a queue of its own, which stands still while that one is busy and is lost with it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from gateway.config.effective import SettingsError
from gateway.downstream.listening.sockets import bound, url_of
from gateway.ops.operators.admin import admin_listening
from gateway.server import runtime
from gateway.server.offer import routes_of
from gateway.server.reload.prepared import renew
from gateway.server.reload.reloader import Reloader
from gateway.server.supervision.process import Process, beginning
from gateway.server.supervision.sights import WorkersSights
from gateway.server.supervision.supervisor import Supervisor
from gateway.server.supervision.vitals import WorkersVitals
from gateway.server.systemd.activation import NOTHING, Inherited
from gateway.server.workers.certificates import BLANKS, Pairs
from gateway.server.workers.channel import Order, Question, Refusal, WorkerSettings
from gateway.shared.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from gateway.config import Config, ListenConfig
    from gateway.config.effective import Effective
    from gateway.ops.operators.admin import Renewal
    from gateway.ops.operators.routes import OperatorRoute
    from gateway.server.supervision.supervisor import WorkerProcess

_log = logging.getLogger("gateway")
PREPARE_SECONDS = 10.0
"""What a worker gets to read the files of other settings in."""
END_SECONDS = 5.0
"""What workers get beyond the time they have for what they do."""


class Workers:
    """The workers with the operators' listener, as an ``async with`` block. ``python`` is the
    program that runs them. ``inherited`` sockets are listened on instead of those of the settings.
    ``verbs`` are what operators can have done.

    Raises:
        OSError: an address cannot be had.
    """

    def __init__(
        self,
        settings: Effective,
        count: int,
        python: str = sys.executable,
        inherited: Inherited = NOTHING,
        *,
        reloading: Callable[[], AbstractContextManager[None]] = nullcontext,
        verbs: Sequence[OperatorRoute] = (),
    ) -> None:
        config = settings.config
        self._pairs = Pairs()
        self._settings = WorkerSettings(config, self._pairs.number(config.listen))
        """Those in force."""
        self.reloader = Reloader(settings, self, reloading=reloading)
        self._verbs = verbs
        self._count = count
        self._python = python
        self._inherited = inherited
        self._resources = AsyncExitStack()
        self._of_operators: Mapping[str, Renewal] = {}
        """What their listener can read again."""

    @property
    def config(self) -> Config:
        """That which is in force."""
        return self._settings.config

    async def __aenter__(self) -> Workers:
        listen = self.config.listen
        async with AsyncExitStack() as stack:
            self._sockets = list(self._inherited.clients) or await bound(listen.host, listen.port)
            stack.callback(self._close_sockets)
            stack.push_async_callback(self.reloader.aclose)
            self.url = url_of(self._sockets[0].getsockname(), _scheme(listen))
            self._segment = Segment.made(self._count)
            stack.callback(self._segment.close)
            vitals = self._vitals = WorkersVitals()
            sights = self._sights = WorkersSights(self._count, vitals.ask)
            routes = routes_of(vitals, sights, self.reloader, self._verbs)
            admin = await stack.enter_async_context(
                admin_listening(routes, self.config.admin, self._inherited.operators)
            )
            stack.callback(sights.drain)
            self.admin_url, self._of_operators = admin.url, admin.renewals
            vitals.certificate = admin.certificate
            self._begin = await stack.enter_async_context(beginning(self._python))
            self.supervisor = vitals.supervisor = Supervisor(
                self._count, self._start, self._retire, time.monotonic
            )
            await stack.enter_async_context(self.supervisor)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._resources.aclose()

    async def take(self, config: Config) -> None:
        """Have all workers go on by other settings, those too that are started later.

        Raises:
            SettingsError: one of them cannot, so none does.
        """
        running, clock = dict(self.supervisor.running), asyncio.get_running_loop().time
        settings = WorkerSettings(config, self._pairs.number(config.listen))
        began = clock()
        answers = await self._asked(Question.PREPARE, settings)
        # No answer before its time is up is the end of a worker, which has a successor soon.
        have_ended = clock() - began < PREPARE_SECONDS
        refusals = [
            _refusal(number, answer, may_pass=have_ended)
            for (number, worker), answer in zip(running.items(), answers, strict=True)
            # One that has ended meanwhile has a successor that is told below, or at its start.
            if self.supervisor.running.get(number) is worker
        ]
        if problems := [problem for refusal in refusals for problem in refusal.problems]:
            may_pass = all(refusal.may_pass for refusal in refusals if refusal.problems)
            raise SettingsError([*dict.fromkeys(problems)], may_pass=may_pass)
        renew(self._of_operators)
        before, self._settings = self._settings.pair, settings
        runtime.log_by(config.log)
        if before < BLANKS <= settings.pair:
            _log.warning(
                "until a restart clients resume a TLS session at the worker that began it only:"
                " there were %d pairs of certificate and key",
                BLANKS,
            )
        # Whoever does not answer any more ends, and begins again with these.
        await self._asked(Question.TAKE, settings)

    def refused(self) -> None:
        self.supervisor.order(Order.REFUSED)

    async def hung(self) -> str:
        """Which workers run and do not answer, empty if none."""
        return await self._vitals.hung()

    async def drain(self) -> None:
        """Accept nothing new and let every worker end once it is done."""
        self._close_sockets()
        await self._end(Order.DRAIN, self.config.listen.drain_seconds)

    async def stop(self) -> None:
        """Let every worker end at once."""
        await self._end(Order.STOP, 0.0)

    async def _end(self, order: Order, seconds: float) -> None:
        self._sights.drain()
        # A job that is being created is waited for, as in a single process.
        creating = self.config.upstream.response_seconds
        await self.supervisor.end(order, seconds + creating + END_SECONDS)

    async def _start(self, number: int) -> WorkerProcess:
        told, settings = partial(self._vitals.told, number), self._settings
        # Files that are renewed already are read, and must not get the keys of those before them.
        pair = self._pairs.still(settings.pair, settings.config.listen)
        begins = WorkerSettings(settings.config, pair)
        process = await Process.started(
            number, begins, self._sockets, told, self._begin, segment=self._segment
        )
        if self._settings is not settings:
            # They were changed while it was started.
            process.order(Order.RELOAD, self._settings)
        return process

    async def _asked(
        self, question: Question, settings: WorkerSettings
    ) -> list[msgspec.Raw | None]:
        """The answers of those that run at this moment."""
        workers = self.supervisor.running.values()
        return await asyncio.gather(
            *(worker.ask(question, PREPARE_SECONDS, settings) for worker in workers)
        )

    def _retire(self, number: int) -> None:
        self._segment.clear(number)
        self._vitals.totals.retire(number)

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()


def _refusal(number: int, answer: msgspec.Raw | None, *, may_pass: bool) -> Refusal:
    if answer is None:
        return Refusal([f"worker {number} does not answer"], may_pass)
    return msgspec.json.decode(answer, type=Refusal)


def _scheme(listen: ListenConfig) -> str:
    return "https" if listen.tls_cert_file else "http"
