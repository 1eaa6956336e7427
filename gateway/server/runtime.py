"""The process around a server: its log, its descriptors, and an interpreter set up for it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from gateway import descriptors
from gateway.ops.log.messages import MessageForm

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from gateway.config import Config, LogConfig

_log = logging.getLogger("gateway")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""
KEPT_BYTES = 4 * 1024 * 1024
"""Freed memory at the heap's end that is not given back."""
MAPPED_BYTES = 2 * 1024 * 1024
"""From this size on a piece of memory is the kernel's own, and goes back to it when it is freed."""
SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter's lock from another."""


def fill_standard_streams() -> None:
    """Open the null device for those of stdin, stdout and stderr that this process was started
    without: else a socket gets the number of one, and what is written to that.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest number that is free: this one.
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: SIM115 - it stays


def log_to_stderr(log: LogConfig, worker: int = 0) -> None:
    """Say what there is to say on stderr, Python's warnings and what nobody catches included;
    ``worker`` is the number of this process among several. A log that is set up stays as it is.
    """
    if logging.getLogger().hasHandlers():
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MessageForm(log.format, worker))
    logging.basicConfig(level=log.level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
    sys.unraisablehook = unraisable


def log_by(log: LogConfig) -> None:
    """Say as much as that from now on, and in that form."""
    root = logging.getLogger()
    root.setLevel(log.level.upper())
    for handler in root.handlers:
        if isinstance(handler.formatter, MessageForm):
            handler.formatter.reconfigure(log.format)


def uncaught(
    kind: type[BaseException], failure: BaseException, where: TracebackType | None
) -> None:
    """Tell of an exception that ends the process."""
    _log.critical("uncaught exception", exc_info=(kind, failure, where))


def uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    """Tell of an exception that ends a thread."""
    failure = told.exc_value
    if failure is not None:
        name = "a thread" if told.thread is None else told.thread.name
        where = (type(failure), failure, told.exc_traceback)
        _log.critical("uncaught exception in %s", name, exc_info=where)


def unraisable(told: sys.UnraisableHookArgs) -> None:
    """Tell of an exception that ends nothing: of a finalizer, say."""
    failure = told.exc_value
    if failure is not None:
        where = (type(failure), failure, told.exc_traceback)
        _log.error("%s %r", told.err_msg or "exception ignored in", told.object, exc_info=where)


def take_descriptors(config: Config) -> None:
    """Raise the limit on file descriptors as far as it goes, and say where that is not enough."""
    descriptors.ask_for_most()
    if shortage := descriptors.shortage(descriptors.limit(), config):
        _log.warning("%s", shortage)


def spare_the_collector() -> None:
    """Look for reference cycles rarely.

    What a request leaves behind goes by reference counts; the default thresholds would walk through
    all requests in flight every few of them, which shows with some hundred clients.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def spare_the_allocator(load: Callable[[None], Any] = ctypes.CDLL) -> None:
    """Keep some freed memory for the next piece of content. ``load`` gives the C library.

    glibc gives what is free at the heap's end back to the kernel, and fetches it again for the next
    piece: large downloads can spend half their time on that.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = load(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        # Setting one of them ends glibc's own adjusting of both.
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)


def share_the_interpreter() -> None:
    """Let the event loop go on soon while another thread computes.

    A thread keeps the interpreter's lock for the switch interval although the loop has something
    to do, and a request waits for it several times. While one client has results of 790 kB parsed,
    others take 46 ms at the median with 5 ms, Python's own, 9 ms with a tenth of it, and no less is
    parsed; shorter intervals gain little (``python -m benchmarks.parsing``).
    """
    sys.setswitchinterval(SWITCH_SECONDS)


def run(main: Coroutine[None, None, None]) -> None:
    """Run on uvloop where it exists."""
    if sys.platform == "win32":  # pragma: no cover
        # Its own loop has no readers, which connections are accepted by.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(main)
        return
    import uvloop  # noqa: PLC0415 - there is none for Windows

    uvloop.run(main)
