"""Listeners and drain: the life of a process around the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway import descriptors
from gateway.admission.identity.key_files import UnusableKey
from gateway.app import Gateway
from gateway.config.timing import USUAL, Timing
from gateway.downstream.listening.acceptor import Acceptor
from gateway.downstream.listening.sockets import bound, url_of
from gateway.downstream.listening.tls import CLOSE_SECONDS as TLS_CLOSE_SECONDS
from gateway.downstream.listening.tls import Certificate, UnusableCertificate
from gateway.ops.metrics import parts
from gateway.ops.operators.admin import admin_listening
from gateway.ops.operators.drain import drain_route
from gateway.server.offer import routes_of
from gateway.server.reload.prepared import Prepared, renew
from gateway.server.reload.reloader import Reloader
from gateway.server.runtime import (
    fill_standard_streams,
    log_by,
    log_to_stderr,
    run,
    share_the_interpreter,
    spare_the_allocator,
    spare_the_collector,
    take_descriptors,
)
from gateway.server.signals import on_end, on_reload
from gateway.server.start_line import start_line
from gateway.server.systemd.activation import NOTHING, Inherited
from gateway.server.systemd.service import Service
from gateway.tasks import Tasks, first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
    from contextlib import AbstractContextManager
    from socket import socket
    from ssl import SSLContext
    from typing import Self

    from prometheus_client.metrics_core import Metric

    from gateway.admission.shared.budgets import SharedBudgets
    from gateway.config import Config
    from gateway.config.effective import Effective
    from gateway.downstream.listening.fair_turns import FairTurns
    from gateway.ops.glances.sights import ProcessSights
    from gateway.ops.operators.admin import Renewal
    from gateway.ops.operators.routes import OperatorRoute
    from gateway.ops.operators.vitals import Vitals
    from gateway.proxy.pipeline import Observer

_log = logging.getLogger("gateway")
LOOK_SECONDS = 0.02
"""The gap between two looks whether anything is being answered."""
QUIET_LOOKS = 25
"""Nothing in so many looks in a row, and nobody is about to send a request. They are counted, not
timed: a process that did not run for that long has not read what came meanwhile."""
CLOSE_SECONDS = 0.5
"""What requests still running after the drain get to notice that they are cancelled."""
END_SECONDS = 5.0
"""What the end may take beyond the time that is for requests."""


def serve(settings: Effective, *, environment: MutableMapping[str, str] = os.environ) -> int:
    """Run until SIGTERM or SIGINT; the process's exit status. What systemd says to this process is
    taken out of ``environment``.
    """
    fill_standard_streams()
    log_to_stderr(settings.config.log)
    take_descriptors(settings.config)
    spare_the_collector()
    spare_the_allocator()
    share_the_interpreter()
    try:
        service = Service.of(environment, os.getpid())
        run(_until_signalled(settings, service))
    except (OSError, UnusableCertificate) as failure:
        _log.error("cannot listen: %s", failure)
        return 1
    except UnusableKey as failure:
        _log.error("cannot verify tokens: %s", failure)
        return 1
    return 0


async def _until_signalled(settings: Effective, service: Service) -> None:
    config = settings.config
    signalled: asyncio.Queue[int] = asyncio.Queue()
    on_end(signalled.put_nowait)
    tasks = Tasks()
    async with Server(
        settings,
        inherited=service.sockets,
        verbs=[drain_route(partial(signalled.put_nowait, signal.SIGTERM))],
        reloading=service.notifier.reloading,
    ) as server:
        on_reload(partial(server.reloader.reload_soon, "SIGHUP"))
        server.reloader.watch()
        line = start_line(
            config, settings.file, workers=1, url=server.url, admin_url=server.admin_url
        )
        _log.info("%s", line)
        service.notifier.ready(f"listening on {server.url}")
        tasks.keep(partial(service.keep_alive, server.vitals.liveness), name="watchdog")
        await signalled.get()
        await server.reloader.aclose()
        draining = f"draining for at most {server.config.listen.drain_seconds:g} s"
        _log.info("%s; a second signal ends it", draining)
        service.notifier.stopping(draining, longest_end(server.config))
        await first_of(server.drain(), signalled.get())
        server.hand_over(service.notifier.store)
        await tasks.aclose()
    _log.info("stopped")


def longest_end(config: Config) -> float:
    """How many seconds it may take from the first signal until the process has ended."""
    # A job that is being created is waited for.
    return config.listen.drain_seconds + config.upstream.response_seconds + END_SECONDS


class Server:
    """The gateway with its listeners, as an ``async with`` block.

    ``sockets``: bound already and shared with other processes; operators are then answered by
    another one, which asks ``vitals``, and ``admin_url`` is empty; connections are taken in
    ``turns`` with them, ``budgets`` are one for all, and the certificate is loaded into ``blank``.
    ``observers`` are told of each request that is over. ``inherited`` sockets are listened on
    instead of those of the settings. ``verbs`` are what operators can have done. Within the block
    of ``reloading`` settings are read again.
    """

    def __init__(
        self,
        settings: Effective,
        sockets: Sequence[socket] | None = None,
        observers: Sequence[Observer] = (),
        timing: Timing = USUAL,
        *,
        inherited: Inherited = NOTHING,
        verbs: Sequence[OperatorRoute] = (),
        turns: FairTurns | None = None,
        budgets: SharedBudgets | None = None,
        blank: SSLContext | None = None,
        reloading: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self.config = config = settings.config
        """That which is in force."""
        self.reloader = Reloader(settings, self, reloading=reloading)
        self._verbs = verbs
        self._turns = turns
        self._budgets = budgets
        self._observers = observers
        self._timing = timing
        self._sockets = sockets
        self._inherited = inherited
        self._resources = contextlib.AsyncExitStack()
        listen = config.listen
        self._certificate = (
            Certificate(listen.tls_cert_file, listen.tls_key_file, blank)
            if listen.tls_cert_file
            else None
        )
        self.admin_url = ""
        self._of_operators: Mapping[str, Renewal] = {}
        """What their listener can read again."""
        self._shown_to_operators: Certificate | None = None

    @property
    def vitals(self) -> Vitals:
        """What operators ask for."""
        return self._gateway.vitals

    @property
    def sights(self) -> ProcessSights:
        """What operators see of this process."""
        return self._gateway.sights

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self._gateway = await stack.enter_async_context(
                Gateway(
                    self.config,
                    self._observers,
                    self._timing,
                    [self._of_certificates],
                    budgets=self._budgets,
                )
            )
            if self._sockets is None:
                routes = routes_of(self.vitals, self.sights, self.reloader, self._verbs)
                admin = await stack.enter_async_context(
                    admin_listening(routes, self.config.admin, self._inherited.operators)
                )
                # Who looks is not waited for.
                stack.callback(self.sights.drain)
                self.admin_url, self._of_operators = admin.url, admin.renewals
                self._shown_to_operators = admin.certificate
            stack.push_async_callback(self._gateway.listener.shutdown, CLOSE_SECONDS)
            stack.callback(self._gateway.cut)
            listen = self.config.listen
            sockets = self._sockets or self._inherited.clients
            sockets = sockets or await bound(listen.host, listen.port)
            self.url = url_of(
                sockets[0].getsockname(), "http" if self._certificate is None else "https"
            )
            self._acceptor = self._accepting(sockets)
            stack.push_async_callback(self._acceptor.aclose)
            self._acceptor.start()
            stack.push_async_callback(self.reloader.aclose)
            self._acceptor.adopt(self._inherited.connections)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._resources.aclose()

    def _of_certificates(self) -> Iterator[Metric]:
        shown = {"client": self._certificate, "admin": self._shown_to_operators}
        ends = {name: each.not_after for name, each in shown.items() if each is not None}
        yield from parts.of_certificates(ends)

    async def take(self, config: Config) -> None:
        """Go on by other settings.

        Raises:
            SettingsError: a file cannot be used; nothing is changed.
        """
        prepared = Prepared.read(config)
        renew(self._of_operators)
        self.go_on(prepared)

    def go_on(self, prepared: Prepared) -> None:
        """Go on by these, all at once; what is under way does not notice."""
        config = prepared.config
        if self._certificate is not None and prepared.certificate is not None:
            self._certificate.become(prepared.certificate)
        self._gateway.reconfigure(config, key=prepared.key, seal_keys=prepared.seal_keys)
        log_by(config.log)
        former, self.config = self.config, config
        shortage = descriptors.shortage(descriptors.limit(), config)
        if shortage != descriptors.shortage(descriptors.limit(), former):
            _log.warning("%s", shortage or "there are enough file descriptors for the settings")

    def refused(self) -> None:
        self._gateway.reloads.refuse()

    async def drain(self) -> None:
        """Accept nothing new, hand back what is held, let the rest run for ``drain_seconds``."""
        self._acceptor.drain()
        self._gateway.drain()
        await self.until_quiet(self.config.listen.drain_seconds)

    def hand_over(self, store: Callable[[Sequence[int]], int]) -> None:
        """Leave the connections on which nothing is asked to the next process."""
        self._gateway.listener.hand_over(store)

    async def until_quiet(self, seconds: float) -> None:
        """Wait until nobody is connected, or nothing has been asked for a while: a client may have
        sent what was not read yet. At most ``seconds``.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        quiet, begun = 0, self._gateway.begun
        while self._acceptor.has_connections and quiet < QUIET_LOOKS and loop.time() < until:
            await asyncio.sleep(LOOK_SECONDS)
            before, begun = begun, self._gateway.begun
            quiet = quiet + 1 if self._gateway.is_idle and begun == before else 0

    def _accepting(self, sockets: Sequence[socket]) -> Acceptor:
        listener = self._gateway.listener
        options: dict[str, Any] = {}
        if self._certificate is not None:
            options = {
                "ssl": self._certificate.context,
                "ssl_handshake_timeout": self._timing.handshake_seconds,
                "ssl_shutdown_timeout": TLS_CLOSE_SECONDS,
            }
        return Acceptor(
            sockets,
            listener,
            self._gateway.places,
            refuse=listener.refuse,
            on_short=listener.close_idle,
            turns=self._turns,
            **options,
        )
