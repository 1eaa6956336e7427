"""Takes connections from listening sockets: one at a time, and none that there is no place for.

One at a time, because several processes may share a socket: who takes all that wait has most of
them, and they are lost with it when it dies. What is not taken waits in the kernel for whoever is
free.

None without a place, because a process that has no descriptor left can neither take a connection
nor refuse it, and event loops close what they cannot take; nor can it reach anybody else. So the
last descriptors are left alone, and who comes meanwhile waits in the kernel. Where no place becomes
free for ``PATIENCE_SECONDS``, those who wait are let in to be told so, a few at once.

Processes that share a socket take ``FairTurns``, so that each has its share of the connections.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from gateway.downstream.listening.fair_turns import FairTurns
    from gateway.downstream.listening.places import Places

    Factory = Callable[[], asyncio.Protocol]

_log = logging.getLogger("gateway")
BACKLOG = 1024
"""Connections that wait to be accepted."""
LOOK_SECONDS = 0.02
"""The gap between two looks whether there is a place again."""
SWEEP_LOOKS = 50
"""In one of so many looks whoever can is asked to make a place."""
ASIDE_SECONDS = 0.001
"""The gap between two looks whether another process has taken what was left to it."""
PATIENCE_SECONDS = 5.0
REFUSING = 16
"""Connections that are being refused at once; descriptors are kept for them."""
CALM_SECONDS = 10.0
"""A shortage that comes back within this time is the same one to the log."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Acceptor:
    """Hands the connections of ``sockets``, which become its own, to protocols of ``factory``.

    ``places`` is told when they are short; ``count`` tells how many are taken where the protocols
    do not count themselves there. ``refuse`` makes protocols that say that there is no place;
    without it all wait. ``on_short`` is called each second while places are short. ``turns`` are
    those of the processes that share the sockets. ``options`` are those of
    ``connect_accepted_socket``: for TLS.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        factory: Factory,
        places: Places,
        *,
        count: Callable[[], int] | None = None,
        refuse: Factory | None = None,
        on_short: Callable[[], None] | None = None,
        turns: FairTurns | None = None,
        **options: Any,
    ) -> None:
        self._sockets = list(sockets)
        self._factory = factory
        self._places = places
        self._count = count
        self._refuse = refuse
        self._on_short = on_short
        self._turns = turns
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._opening = Tasks()
        """Of connections that are not yet made."""
        self._look: asyncio.TimerHandle | None = None
        """While nobody is let in."""
        self._aside: asyncio.TimerHandle | None = None
        """While what waits is left to other processes."""
        self._calm: asyncio.TimerHandle | None = None
        """While a shortage that was told may come back."""
        self._patient_until = 0.0
        self._looks = 0

    def start(self) -> None:
        """Listen."""
        for sock in self._sockets:
            sock.setblocking(False)
            # Whoever listens on it already has said how many may wait.
            if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sock.listen(BACKLOG)
        self._let_in()

    def adopt(self, connections: Sequence[socket.socket]) -> None:
        """Go on with connections that another process has accepted, as far as there are places. Of
        TLS none can be: its state is lost with a process."""
        for connection in connections:
            if self._has_place and not self._options:
                self._make(connection, self._factory)
            else:
                connection.close()

    def drain(self) -> None:
        """Take what has come, as far as there are places, and listen no more.

        The kernel resets who connects between the last look at a socket and its end, so nothing is
        done in between.
        """
        self._look_no_more()
        self._take_no_turns()
        while self._sockets:
            with self._sockets.pop() as sock, suppress(OSError):
                while self._has_place and self._take(sock, self._factory):
                    pass

    async def aclose(self) -> None:
        """Listen no more, and give up connections that are not yet made."""
        self._look_no_more()
        self._take_no_turns()
        while self._sockets:
            self._sockets.pop().close()
        await self._opening.aclose()

    def _look_no_more(self) -> None:
        for timer in (self._look, self._calm, self._aside):
            if timer is not None:
                timer.cancel()
        self._look_away()

    def _look_away(self) -> None:
        """Take no connections for now."""
        for sock in self._sockets:
            self._loop.remove_reader(sock)

    def _take_no_turns(self) -> None:
        self._places.on_change = None
        if self._turns is not None:
            self._turns.leave()

    def _tell_others(self, _: object = None) -> None:
        if self._turns is not None and self._places.on_change is not None:
            self._turns.tell(self._taken + len(self._opening))

    @property
    def has_connections(self) -> bool:
        """Also such as are not yet made."""
        return self._taken + len(self._opening) > 0

    @property
    def _taken(self) -> int:
        return self._places.taken if self._count is None else self._count()

    @property
    def _has_place(self) -> bool:
        return self._taken + len(self._opening) < self._places.most

    def _let_in(self) -> None:
        self._places.are_short = False
        if self._turns is not None:
            self._places.on_change = self._tell_others
            self._tell_others()
        for sock in self._sockets:
            self._loop.add_reader(sock, self._on_connection, sock)

    def _step_aside(self) -> None:
        """Leave what waits to the processes that have fewer connections."""
        self._look_away()
        self._aside = self._loop.call_later(ASIDE_SECONDS, self._look_aside)

    def _look_aside(self) -> None:
        self._aside = None
        assert self._turns is not None
        waiting = _with_connections(self._sockets)
        if not waiting:
            self._turns.settle()
        elif not self._turns.is_own():
            self._aside = self._loop.call_later(ASIDE_SECONDS, self._look_aside)
            return
        self._let_in()
        if waiting:
            self._on_own_connection(waiting[0])

    def _on_connection(self, sock: socket.socket) -> None:
        if self._turns is None or self._turns.is_own():
            self._on_own_connection(sock)
        else:
            self._step_aside()

    def _on_own_connection(self, sock: socket.socket) -> None:
        if not self._has_place:
            self._wait(f"all {self._places.most} places are taken")
            return
        try:
            self._take(sock, self._factory)
        except OSError as failure:
            # Others have used up what was left for them.
            self._wait(failure.strerror or "")

    def _take(self, sock: socket.socket, factory: Factory) -> bool:
        """Take one; whether there was one.

        Raises:
            OSError: there is, but it can't be taken.
        """
        try:
            connection, _ = sock.accept()
        except OSError as failure:
            if failure.errno in _EXHAUSTED:
                raise
            # Another process took it, or it has gone meanwhile.
            return False
        self._make(connection, factory)
        return True

    def _make(self, connection: socket.socket, factory: Factory) -> None:
        connection.setblocking(False)
        made = self._made(connection, factory)
        opening = self._opening.spawn(made, name="make a client's connection")
        if self._turns is not None:
            self._tell_others()
            opening.add_done_callback(self._tell_others)

    async def _made(self, connection: socket.socket, factory: Factory) -> None:
        try:
            await self._loop.connect_accepted_socket(factory, connection, **self._options)
        except OSError:
            # Of TLS: no handshake.
            connection.close()

    def _wait(self, reason: str) -> None:
        """Let nobody in until there is a place."""
        self._look_away()
        self._take_no_turns()
        if self._calm is None:
            _log.warning("new clients have to wait: %s", reason)
        else:
            self._calm.cancel()
            self._calm = None
        self._places.are_short = True
        self._patient_until = self._loop.time() + PATIENCE_SECONDS
        self._look = self._loop.call_later(LOOK_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._looks += 1
        if self._has_place:
            self._calm = self._loop.call_later(CALM_SECONDS, self._on_calm)
            self._let_in()
            return
        if self._on_short is not None and self._looks % SWEEP_LOOKS == 1:
            self._on_short()
        if self._refuse is not None and self._loop.time() >= self._patient_until:
            self._tell(self._refuse)
        self._look = self._loop.call_later(LOOK_SECONDS, self._look_again)

    def _on_calm(self) -> None:
        self._calm = None
        _log.info("new clients do not have to wait any more")

    def _tell(self, refuse: Factory) -> None:
        """Let some in who have no place, as far as descriptors are kept for them."""
        with suppress(OSError):
            for sock in self._sockets:
                while self._places.refusing + len(self._opening) < REFUSING:
                    if not self._take(sock, refuse):
                        break
                    self._places.refused += 1


def _with_connections(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    """Those that a connection waits at."""
    poll = select.poll()
    for sock in sockets:
        poll.register(sock, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll(0)}
    return [sock for sock in sockets if sock.fileno() in ready]
