"""The process that workers are forked from; their supervisor runs it as a module.

It makes what clients' TLS sessions are sealed with, so that all workers have the same, which
nothing but a fork can bring about. Besides, what the workers only read is in memory once, and a
worker that ended is replaced in a moment.
"""

from __future__ import annotations

import gc
import socket
import sys
from contextlib import suppress
from pathlib import Path

# Workers run on it. They fetch it when they begin; here it is in memory once.
import uvloop  # noqa: F401

from gateway.downstream.listening.tls import blank_context
from gateway.server.forking.forked import forked
from gateway.server.workers.certificates import BLANKS
from gateway.server.workers.worker import main as work


def main(descriptor: int) -> int:
    """Run until the supervisor ends; the exit status, of this process and of each worker."""
    blanks = [blank_context() for _ in range(BLANKS)]
    # What a collector writes to would be copied for each worker.
    gc.collect()
    gc.freeze()
    _show_as("gateway-zygote")
    descriptors = forked(socket.socket(fileno=descriptor))
    if descriptors is None:
        return 0
    _show_as("gateway-worker")
    return work(descriptors[0], blanks)


def _show_as(name: str) -> None:
    """Let ``ps`` and ``top`` tell workers from what they are forked from; 15 bytes at most."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
