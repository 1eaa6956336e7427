"""A fork server as a program: each child says who it is, and ends as it is told to."""

from __future__ import annotations

import os
import socket
import sys
from typing import NamedTuple

from gateway.server.forking.forked import forked


class Said(NamedTuple):
    """By a child."""

    pid: int
    descriptors: int
    """How many it was given."""


def main(descriptor: int) -> int:
    descriptors = forked(socket.socket(fileno=descriptor))
    if descriptors is None:
        return 0
    with socket.socket(fileno=descriptors[0]) as channel:
        channel.send(repr((os.getpid(), len(descriptors))).encode())
        told = channel.recv(16)
    return int(told or b"0")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
