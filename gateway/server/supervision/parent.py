"""``serve`` with several workers: the life of the process that keeps them."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from gateway.admission.identity.key_files import UnusableKey
from gateway.downstream.listening.tls import UnusableCertificate
from gateway.ops.operators.drain import drain_route
from gateway.server import runtime, server
from gateway.server.signals import on_end, on_reload
from gateway.server.start_line import start_line
from gateway.server.supervision.workers import Workers
from gateway.server.systemd.service import Service
from gateway.sync.keys.stores import NOT_SHARED, is_unshared
from gateway.tasks import Tasks, first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, MutableMapping

    from gateway.config.effective import Effective

_log = logging.getLogger("gateway")
_AFFINITY: Callable[[int], Collection[int]] | None = getattr(os, "sched_getaffinity", None)
"""The processors that a process is kept to; not every system tells them."""


def serve(
    settings: Effective,
    *,
    python: str = sys.executable,
    environment: MutableMapping[str, str] = os.environ,
) -> int:
    """Run until SIGTERM or SIGINT; the process's exit status. ``python`` is the program that runs
    the workers. What systemd says to this process is taken out of ``environment``, which no worker
    gets.
    """
    config = settings.config
    count = config.listen.workers or usable_processors()
    if count == 1:
        return server.serve(settings, environment=environment)
    runtime.fill_standard_streams()
    runtime.log_to_stderr(config.log)
    runtime.take_descriptors(config)
    if is_unshared(config):
        _log.warning("%s", NOT_SHARED)
    try:
        service = Service.of(environment, os.getpid())
        for connection in service.sockets.connections:
            # One process has left them to one.
            connection.close()
        return asyncio.run(_until_signalled(settings, count, python, service))
    except (OSError, UnusableCertificate, UnusableKey) as failure:
        _log.error("cannot listen: %s", failure)
        return 1


def usable_processors(affinity: Callable[[int], Collection[int]] | None = _AFFINITY) -> int:
    """How many this process may run on, all where there is no ``affinity`` to say which; a quota
    of its control group does not count.
    """
    return (os.cpu_count() or 1) if affinity is None else len(affinity(0))


async def _until_signalled(settings: Effective, count: int, python: str, service: Service) -> int:
    config = settings.config
    first, second = asyncio.Event(), asyncio.Event()

    def signalled(_number: int) -> None:
        (second if first.is_set() else first).set()

    on_end(signalled)
    tasks = Tasks()
    verbs = [drain_route(first.set)]
    async with Workers(
        settings,
        count,
        python,
        service.sockets,
        reloading=service.notifier.reloading,
        verbs=verbs,
    ) as workers:
        on_reload(partial(workers.reloader.reload_soon, "SIGHUP"))
        workers.reloader.watch()
        await first_of(workers.supervisor.until_started(), first.wait())
        if workers.supervisor.has_started:
            line = start_line(
                config, settings.file, workers=count, url=workers.url, admin_url=workers.admin_url
            )
            _log.info("%s", line)
            service.notifier.ready(f"listening on {workers.url}, {count} workers")
            tasks.keep(partial(service.keep_alive, workers.hung), name="watchdog")
            await first.wait()
            await workers.reloader.aclose()
            draining = f"draining for at most {workers.config.listen.drain_seconds:g} s"
            _log.info("%s; a second signal ends it", draining)
            service.notifier.stopping(draining, server.longest_end(workers.config))
            await first_of(workers.drain(), second.wait())
            await tasks.aclose()
        # Who is to end before it has started fails in nothing, whichever process is told first.
        has_failed = workers.supervisor.has_failed and not first.is_set()
        await workers.stop()
    if has_failed:
        _log.error("a worker did not start")
        return 1
    _log.info("stopped")
    return 0
