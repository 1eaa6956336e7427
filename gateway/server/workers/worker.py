"""One of several processes that share the client port; the supervisor runs it as a module."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from gateway import descriptors
from gateway.admission.identity.key_files import UnusableKey
from gateway.admission.shared.budgets import SharedBudgets
from gateway.config.effective import Effective, SettingsError
from gateway.downstream.listening.fair_turns import FairTurns
from gateway.downstream.listening.tls import UnusableCertificate
from gateway.ops.glances.glance import LISTED_WAITS
from gateway.ops.metrics.merge import EXCHANGED
from gateway.ops.operators.task_dump import own_tasks
from gateway.server.reload.prepared import Prepared
from gateway.server.runtime import (
    log_to_stderr,
    run,
    share_the_interpreter,
    spare_the_allocator,
    spare_the_collector,
)
from gateway.server.server import Server
from gateway.server.signals import on_end, on_reload
from gateway.server.workers.certificates import Certificates
from gateway.server.workers.channel import (
    Channel,
    Message,
    Order,
    Question,
    Refusal,
    Start,
    WorkerReply,
)
from gateway.shared.locks import Locks
from gateway.shared.segment import Segment
from gateway.tasks import Tasks, first_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from gateway.server.workers.channel import WorkerSettings

_log = logging.getLogger("gateway")
OUTLIVE_SECONDS = 5.0
"""How long it takes connections without a supervisor."""
DRAIN_SECONDS = 3.0
"""How long what is being answered then goes on."""
FLUSH_SECONDS = 1.0
"""What its last words get to be on their way in, should the supervisor stand still."""
LAST_SECONDS = 9
"""After that it is ended by the kernel."""


def main(descriptor: int, blanks: Sequence[ssl.SSLContext] = ()) -> int:
    """Run until the supervisor, whose channel it is, orders the end or ends; the exit status.
    ``blanks`` are contexts that the other workers have, too.
    """
    # Kept until the process is gone: whoever hangs up is killed, with its reason untold perhaps.
    os.dup(descriptor)
    try:
        run(_work(socket.socket(fileno=descriptor), blanks))
    except (OSError, UnusableCertificate) as failure:
        _log.error("cannot listen: %s", failure)
        return 1
    except UnusableKey as failure:
        _log.error("cannot verify tokens: %s", failure)
        return 1
    return 0


async def _work(sock: socket.socket, blanks: Sequence[ssl.SSLContext]) -> None:
    channel = await Channel.over(sock)
    start = await channel.receive(Start)
    if start is None:
        return
    config, pair = start.settings.config, start.settings.pair
    log_to_stderr(config.log, start.number)
    descriptors.ask_for_most()
    spare_the_collector()
    spare_the_allocator()
    share_the_interpreter()
    sockets = [socket.socket(fileno=number) for number in start.sockets]
    tasks = Tasks()
    certificates = Certificates(blanks, pair)
    blank = certificates.blank(pair)
    async with Server(Effective(config), sockets, blank=blank, **_shared(start)) as server:
        worker = Worker(channel, server, tasks, certificates)
        tasks.spawn(worker.obey(), name="obey the supervisor")
        await worker.until_ended()
    await tasks.aclose()
    # What was counted since it was last asked.
    channel.send(await _reply(server, Question.METRICS))
    await channel.flush(FLUSH_SECONDS)
    channel.close()


def _shared(start: Start) -> dict[str, Any]:
    """What a server has in common with those of the other workers."""
    if start.segment is None:
        return {}
    segment, clock = Segment(start.segment), time.monotonic
    locks = Locks(segment.descriptor, clock)
    return {
        "turns": FairTurns(segment.cells, start.number, clock),
        "budgets": SharedBudgets(segment.budgets, segment.secret, locks),
    }


class Worker:
    """Does what the supervisor says with the server it has been given.

    ``certificates`` are read for it. ``alarm`` has the kernel end this process after so many
    seconds.
    """

    def __init__(
        self,
        channel: Channel,
        server: Server,
        tasks: Tasks,
        certificates: Certificates,
        alarm: Callable[[int], object] = signal.alarm,
    ) -> None:
        self._channel = channel
        self._server = server
        self._tasks = tasks
        self._certificates = certificates
        self._alarm = alarm
        self._prepared: tuple[WorkerSettings, Prepared] | None = None
        """What it can go on with, until it is told to."""
        self._leaving = asyncio.Event()
        self._stopping = asyncio.Event()

    async def until_ended(self) -> None:
        """Until nothing is left to be done, or must be."""
        # Only a supervisor can stop it at once: signals come to all processes of a group.
        on_end(lambda _: self._leaving.set())
        # Its supervisor has got it, too, and says whether anything changes.
        on_reload(lambda: None)
        await self._leaving.wait()
        await first_of(self._server.drain(), self._stopping.wait())

    async def obey(self) -> None:
        """Answer and follow the supervisor, and outlive it a little where it ends."""
        try:
            while (message := await self._channel.receive(Message)) is not None:
                if message.settings is not None:
                    self._heed(message, message.settings)
                elif message.question is not None:
                    response = self._answer(message.question)
                    self._tasks.spawn(response, name=f"answer {message.question.value}")
                if message.order is Order.REFUSED:
                    self._server.refused()
                if message.order is Order.DRAIN:
                    self._leaving.set()
                if message.order is Order.STOP:
                    return
            await self._outlive()
        finally:
            self._leaving.set()
            self._stopping.set()

    def _heed(self, message: Message, settings: WorkerSettings) -> None:
        """Prepare for other settings, or go on by them. Who cannot do what the others have done
        ends, and is replaced by one that begins with them."""
        try:
            prepared = self._prepared_for(settings, again=message.question is Question.PREPARE)
        except SettingsError as failure:
            refusal = Refusal(failure.problems, failure.may_pass)
            if message.question is not Question.PREPARE:
                _log.error("cannot go on by other settings: %s", failure)
                self._leaving.set()
        else:
            refusal = Refusal()
            if message.question is not Question.PREPARE:
                self._server.go_on(prepared)
                self._certificates.number = settings.pair
                self._prepared = None
        if message.question is not None:
            self._channel.send(_replied(message.question, refusal))

    def _prepared_for(self, settings: WorkerSettings, *, again: bool) -> Prepared:
        if again or self._prepared is None or self._prepared[0] != settings:
            certified = partial(self._certificates.other, number=settings.pair)
            self._prepared = settings, Prepared.read(settings.config, certified)
        return self._prepared[1]

    async def _outlive(self) -> None:
        """Nobody replaces this process or tells it to end: serve on while there is something to do,
        but not so long that whoever starts another supervisor must wait for the port.
        """
        # Whatever keeps it.
        self._alarm(LAST_SECONDS)
        until = asyncio.get_running_loop().time() + OUTLIVE_SECONDS + DRAIN_SECONDS
        if not self._leaving.is_set():
            _log.warning("its supervisor has ended, so this worker ends soon")
            await self._server.until_quiet(OUTLIVE_SECONDS)
            self._leaving.set()
        await asyncio.sleep(until - asyncio.get_running_loop().time())

    async def _answer(self, question: Question) -> None:
        self._channel.send(await _reply(self._server, question))


async def _reply(server: Server, question: Question) -> WorkerReply:
    return _replied(question, await _content(server, question))


def _replied(question: Question, content: object) -> WorkerReply:
    return WorkerReply(question, msgspec.Raw(msgspec.json.encode(content)))


async def _content(server: Server, question: Question) -> Any:
    vitals, sights = server.vitals, server.sights
    match question:
        case Question.LIVE:
            return await vitals.liveness()
        case Question.READY:
            return await vitals.readiness()
        case Question.METRICS:
            page, _ = await vitals.metrics(EXCHANGED)
            return page.decode()
        case Question.GLANCE:
            return sights.lookout.glance()
        case Question.WAITS:
            return sights.lookout.waits(LISTED_WAITS)
        case Question.TASKS:
            return own_tasks()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
