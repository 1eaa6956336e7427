"""The fork server's side: a process without threads and event loop, which forks when it is asked.

A request is one byte, the number of descriptors that come with it (unix(7), SCM_RIGHTS); the reply
is a ``ForkReply``. The end of the socket is the end of the fork server, not of its children.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from contextlib import suppress

import msgspec

MOST_DESCRIPTORS = 250
"""In a request; the kernel takes 253."""
REPLY_BYTES = 4096
_PID_BYTES = 8
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ForkReply(msgspec.Struct):
    pid: int = 0
    descriptors: list[int] = []
    """The numbers that those of the request have in the child."""
    problem: str = ""
    """Why there is no child."""


def forked(requests: socket.socket) -> list[int] | None:
    """Fork for each request, and return in each child, with the descriptors that are for it; in
    this process return None once nobody can ask any more.

    Signals that go to all processes at once end the children only. A child is in this process's
    group until whoever asked puts it into another one.
    """
    formerly = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING}
    # Without a reply nobody asks any more.
    with requests, suppress(ConnectionError):
        while True:
            count, descriptors, _, _ = socket.recv_fds(requests, 1, MOST_DESCRIPTORS)
            if not count:
                return None
            try:
                if len(descriptors) < count[0]:
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                pid = _fork_for_good()
            except OSError as failure:
                reply = ForkReply(problem=str(failure))
            else:
                if not pid:
                    for number, handler in formerly.items():
                        signal.signal(number, handler)
                    return descriptors
                reply = ForkReply(pid, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            requests.send(msgspec.json.encode(reply))
    return None


def _fork_for_good() -> int:
    """Fork a process whose parent is not this one, but whoever adopts orphans: its number, in it 0.

    Raises:
        OSError
    """
    receiving, sending = os.pipe()
    with open(receiving, "rb", 0) as told, open(sending, "wb", 0) as telling:
        middle = os.fork()
        if not middle:
            pid = _fork_or_exit()
            if pid:
                try:
                    telling.write(pid.to_bytes(_PID_BYTES, "big"))
                finally:
                    os._exit(0)
            return 0
        os.waitpid(middle, 0)
        telling.close()
        pid = int.from_bytes(told.read(_PID_BYTES), "big")
    if not pid:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return pid


def _fork_or_exit() -> int:
    try:
        return os.fork()
    except OSError:
        os._exit(1)
